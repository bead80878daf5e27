// SPDX-License-Identifier: MIT
#include "door/doors.h"
#include "door/translate.h"

namespace memdrift::door {

void exportStore([[maybe_unused]] Napi::Env env, [[maybe_unused]] Napi::Object exports) {}

}  // namespace memdrift::door
