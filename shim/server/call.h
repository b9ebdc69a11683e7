// SPDX-License-Identifier: Apache-2.0
// What a served method gets and gives.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>

#include "core/wire/rpc_status.h"
#include "core/wire/ttrpc_envelope.h"
#include "shim/loop/co.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

struct Call {
  std::string ns;          // the caller's namespace; where it named none, the server's own
  Time deadline = kNever;  // may have passed already; nobody ends the method when it passes
  wire::Metadata metadata;
  std::string payload;  // the encoded request
};

// The encoded response, or why there is none.
using Answer = std::variant<std::string, wire::RpcStatus>;

// Runs to its end whatever becomes of its caller.
using Method = std::function<Co<Answer>(Call)>;

// By bare name.
using Methods = std::map<std::string, Method, std::less<>>;

}  // namespace gantry::shim
