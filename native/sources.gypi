{
  "variables": {
    "core_sources": [
      "native/errors.cc",
      "native/experiment/pattern.cc",
      "native/experiment/peer.cc",
      "native/proc/counters.cc",
      "native/proc/hugetlb.cc",
      "native/proc/maps.cc",
      "native/proc/pagemap.cc",
      "native/proc/pass_clock.cc",
      "native/proc/read_file.cc",
      "native/proc/residency.cc",
      "native/proc/sampled_process.cc",
      "native/proc/sampler.cc",
      "native/proc/smaps.cc",
      "native/shm/arena.cc",
      "native/shm/flag.cc",
      "native/shm/flag_waiter.cc",
      "native/shm/free_space.cc",
      "native/shm/mapping.cc",
      "native/shm/placement.cc",
      "native/shm/segment.cc",
      "native/shm/store.cc",
      "native/shm/store_give_back.cc",
      "native/shm/store_look.cc",
      "native/shm/store_table.cc"
    ],
    "door_sources": [
      "native/door/addon.cc",
      "native/door/experiment_door.cc",
      "native/door/proc_door.cc",
      "native/door/sampler_door.cc",
      "native/door/shm_door.cc",
      "native/door/store_door.cc",
      "native/door/store_handle.cc",
      "native/door/store_look_door.cc",
      "native/door/translate.cc",
      "native/door/uncounted_buffer.cc",
      "native/door/views.cc"
    ],
    "package_sources": [
      "native/old_glibc.cc"
    ],
    "test_sources": [
      "native/test/counters_test.cc",
      "native/test/errors_test.cc",
      "native/test/flag_test.cc",
      "native/test/pattern_test.cc",
      "native/test/placement_test.cc",
      "native/test/residency_test.cc",
      "native/test/sampler_test.cc",
      "native/test/segment_test.cc",
      "native/test/smaps_test.cc",
      "native/test/store_test.cc"
    ]
  }
}
