// SPDX-License-Identifier: MIT
#include "door/translate.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

namespace memdrift::door {

Napi::Error toJsError(Napi::Env env, const Error& error) {
  auto* state = env.GetInstanceData<EnvironmentState>();
  const Napi::String code = Napi::String::New(env, errorCodeName(error.code()));
  const Napi::String message = Napi::String::New(env, error.what());
  Napi::Object details = Napi::Object::New(env);
  if (error.errorNumber() != 0) details.Set("errno", error.errorNumber());
  if (state == nullptr || state->error_class.IsEmpty()) {
    Napi::Error plain = Napi::Error::New(env, error.what());
    plain.Set("code", code);
    return plain;
  }
  return Napi::Error(env, state->error_class.New({code, message, details}));
}

Napi::Value guarded(Napi::Env env, const std::function<Napi::Value()>& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw toJsError(env, error);
  } catch (const std::bad_alloc&) {
    throw toJsError(env, Error(ErrorCode::ERR_NO_MEMORY, "out of memory in the native part"));
  } catch (const std::exception& error) {
    throw toJsError(env, Error(ErrorCode::ERR_SYSTEM, error.what()));
  }
}

namespace {

class OffThread : public Napi::AsyncWorker {
 public:
  OffThread(Napi::Env env, std::function<void()> work,
            std::function<Napi::Value(Napi::Env)> convert)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        convert_(std::move(convert)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      work_();
    } catch (const Error& error) {
      error_ = error;
    } catch (const std::bad_alloc&) {
      error_ = Error(ErrorCode::ERR_NO_MEMORY, "out of memory in the native part");
    } catch (const std::exception& error) {
      error_ = Error(ErrorCode::ERR_SYSTEM, error.what());
    }
  }

  void OnOK() override {
    if (error_) {
      deferred_.Reject(toJsError(Env(), *error_).Value());
      return;
    }
    try {
      deferred_.Resolve(convert_(Env()));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    } catch (const Error& error) {
      deferred_.Reject(toJsError(Env(), error).Value());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::function<void()> work_;
  std::function<Napi::Value(Napi::Env)> convert_;
  std::optional<Error> error_;
};

}  // namespace

Napi::Value runOffThread(Napi::Env env, std::function<void()> work,
                         std::function<Napi::Value(Napi::Env)> convert) {
  auto* worker = new OffThread(env, std::move(work), std::move(convert));
  Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

int64_t integerArgument(const Napi::Value& value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(std::abs(number) <= 9007199254740991.0) || number != std::trunc(number))
    throw Error(ErrorCode::ERR_INVALID, std::string(name) + " is not a safe integer");
  return static_cast<int64_t>(number);
}

std::string stringArgument(const Napi::Value& value, const char* name) {
  if (!value.IsString())
    throw Error(ErrorCode::ERR_INVALID, std::string(name) + " is not a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Value toFloat64Array(Napi::Env env, const std::vector<double>& values) {
  auto array = Napi::Float64Array::New(env, values.size());
  if (!values.empty()) memcpy(array.Data(), values.data(), values.size() * sizeof(double));
  return array;
}

Napi::Value toUint32Array(Napi::Env env, const std::vector<uint32_t>& values) {
  auto array = Napi::Uint32Array::New(env, values.size());
  if (!values.empty()) memcpy(array.Data(), values.data(), values.size() * sizeof(uint32_t));
  return array;
}

Napi::Value toStringArray(Napi::Env env, const std::vector<std::string>& values) {
  auto array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); i++) array.Set(static_cast<uint32_t>(i), values[i]);
  return array;
}

}  // namespace memdrift::door
