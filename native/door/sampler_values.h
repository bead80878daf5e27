// SPDX-License-Identifier: MIT
// What a sampler delivers, as JavaScript has it.
#pragma once

#include "door/translate.h"
#include "proc/sampler.h"

namespace memdrift::door {

Napi::Object sampleToJs(Napi::Env env, const Sample& sample);
Napi::Object passToJs(Napi::Env env, const PassResult& pass);
// `dropped`: samples that a busy event loop did not take.
Napi::Object reportToJs(Napi::Env env, const SamplerReport& report, uint64_t dropped);

}  // namespace memdrift::door
