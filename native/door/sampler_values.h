// SPDX-License-Identifier: MIT
// Converts a sampler's samples to JavaScript values.
#pragma once

#include "door/translate.h"
#include "proc/sampler.h"

namespace memdrift::door {

Napi::Object sampleToJs(Napi::Env env, const Sample& sample);
Napi::Object passToJs(Napi::Env env, const PassResult& pass);
// `dropped`: samples that were dropped because the event loop was busy.
Napi::Object reportToJs(Napi::Env env, const SamplerReport& report, uint64_t dropped);

}  // namespace memdrift::door
