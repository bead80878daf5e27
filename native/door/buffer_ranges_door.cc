// SPDX-License-Identifier: MIT
// Where the contents of ArrayBuffers and of their views are.
#include <algorithm>
#include <utility>

#include "door/doors.h"
#include "door/translate.h"

namespace memdrift::door {

namespace {

struct Content {
  void* data = nullptr;
  size_t bytes = 0;
};

size_t bytesPerElement(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 2;  // Float16Array, which older headers have no name for
  }
}

Content typedArrayContent(napi_env env, napi_value value) {
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  Content content;
  napi_get_typedarray_info(env, value, &type, &length, &content.data, nullptr, nullptr);
  content.bytes = length * bytesPerElement(type);
  return content;
}

Content contentOf(napi_env env, napi_value value) {
  Content content;
  bool is = false;
  if (napi_is_typedarray(env, value, &is) == napi_ok && is) return typedArrayContent(env, value);
  if (napi_is_arraybuffer(env, value, &is) == napi_ok && is) {
    napi_get_arraybuffer_info(env, value, &content.data, &content.bytes);
  } else if (napi_is_dataview(env, value, &is) == napi_ok && is) {
    napi_get_dataview_info(env, value, &content.bytes, &content.data, nullptr, nullptr);
  }
  return content;
}

// bufferRanges(objects): starts and ends in turns, by address, of those that have memory of their
// own.
Napi::Value bufferRanges(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  if (!info[0].IsArray()) throw Error(ErrorCode::ERR_INVALID, "objects is not an array");
  const uint32_t count = info[0].As<Napi::Array>().Length();
  std::vector<std::pair<double, double>> ranges;
  ranges.reserve(count);
  for (uint32_t i = 0; i < count; i++) {
    const Napi::HandleScope scope(env);
    napi_value value;
    if (napi_get_element(env, info[0], i, &value) != napi_ok) continue;
    const Content content = contentOf(env, value);
    if (content.data == nullptr || content.bytes == 0) continue;
    const auto start = static_cast<double>(reinterpret_cast<uintptr_t>(content.data));
    ranges.emplace_back(start, start + static_cast<double>(content.bytes));
  }
  std::sort(ranges.begin(), ranges.end());
  std::vector<double> numbers;
  numbers.reserve(2 * ranges.size());
  for (const auto& [start, end] : ranges) {
    numbers.push_back(start);
    numbers.push_back(end);
  }
  return toFloat64Array(env, numbers);
}

}  // namespace

void exportBufferRanges(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "bufferRanges", bufferRanges);
}

}  // namespace memdrift::door
