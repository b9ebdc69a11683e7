// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "core/wire/rpc_status.h"

namespace gantry::shim {

// What a call is answered: a T, or why there is none.
template <typename T>
struct [[nodiscard]] Reply {
  wire::RpcStatus status;
  T value{};

  Reply(T answer) : value(std::move(answer)) {}                 // NOLINT
  Reply(wire::RpcStatus failed) : status(std::move(failed)) {}  // NOLINT

  bool ok() const { return status.ok(); }
};

// Errors that have no class of their own travel as Unknown, their text unchanged.
inline wire::RpcStatus Unknown(std::string message) {
  return {.code = wire::RpcCode::kUnknown, .message = std::move(message)};
}

}  // namespace gantry::shim
