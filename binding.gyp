{
  "includes": ["native/sources.gypi"],
  "targets": [
    {
      "target_name": "memdrift",
      "sources": ["<@(core_sources)", "<@(door_sources)", "<@(package_sources)"],
      "include_dirs": ["native"],
      "dependencies": [
        "<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"
      ],
      # An error that meets a worker which is being ended must not end the process with it.
      "defines": ["NAPI_VERSION=9", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "_GNU_SOURCE"],
      # The tracker's hooks may be on a thread's stack whoever unloads the addon.
      "ldflags": ["-Wl,-z,nodelete"],
      "cflags!": ["-O2"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-rtti"],
      "cflags_cc": ["-std=c++20", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden", "-fno-omit-frame-pointer"]
    }
  ]
}
