// SPDX-License-Identifier: MIT
// One function per room: it adds that room's functions to the export table.
#pragma once

#include <napi.h>

namespace memdrift::door {

void exportProc(Napi::Env env, Napi::Object exports);
void exportSampler(Napi::Env env, Napi::Object exports);
void exportShm(Napi::Env env, Napi::Object exports);
void exportStore(Napi::Env env, Napi::Object exports);
void exportExperiment(Napi::Env env, Napi::Object exports);
void exportLaunch(Napi::Env env, Napi::Object exports);
void exportCapture(Napi::Env env, Napi::Object exports);
void exportBufferRanges(Napi::Env env, Napi::Object exports);
void exportDrift(Napi::Env env, Napi::Object exports);
void exportTracker(Napi::Env env, Napi::Object exports);
void exportEntry(Napi::Env env, Napi::Object exports);

// Exports `function` under `name`; whatever it throws reaches JavaScript as a MemdriftError.
void exportFunction(Napi::Env env, Napi::Object exports, const char* name,
                    Napi::Value (*function)(const Napi::CallbackInfo&));

}  // namespace memdrift::door
