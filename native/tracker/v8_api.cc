// SPDX-License-Identifier: MIT
#include "tracker/v8_api.h"

#include <dlfcn.h>

namespace memdrift::v8_api {

namespace {

template <typename Function>
bool find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return function != nullptr;
}

// By the names that the C++ ABI gives them.
bool findAll(Api& api) {
  find(api.getHeapStatistics, "_ZN2v87Isolate17GetHeapStatisticsEPNS_14HeapStatisticsE");
  return find(api.tryGetCurrent, "_ZN2v87Isolate13TryGetCurrentEv") &&
         find(api.inContext, "_ZN2v87Isolate9InContextEv") &&
         find(api.requestInterrupt, "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_") &&
         find(api.getStackSample,
              "_ZN2v87Isolate14GetStackSampleERKNS_13RegisterStateEPPvmPNS_10SampleInfoE") &&
         find(api.setJitCodeEventHandler,
              "_ZN2v87Isolate22SetJitCodeEventHandlerENS_19JitCodeEventOptionsE"
              "PFvPKNS_12JitCodeEventEE") &&
         find(api.getCodeRange, "_ZN2v87Isolate12GetCodeRangeEPPvPm") &&
         find(api.currentEventLoop, "_ZN4node19GetCurrentEventLoopEPN2v87IsolateE") &&
         find(api.addCleanupHook, "_ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_") &&
         find(api.removeCleanupHook,
              "_ZN4node28RemoveEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_");
}

}  // namespace

const Api* api() noexcept {
  static Api found;
  static const bool is_complete = findAll(found);
  return is_complete ? &found : nullptr;
}

}  // namespace memdrift::v8_api
