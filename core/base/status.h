// SPDX-License-Identifier: Apache-2.0
// Status constructors that format their message, and the two error macros.
//
// Codes have gRPC's numbers and meaning; see docs/architecture.md for what each promises a caller.
// Messages are lower case, name the act and the object, and carry no class text: ToWire() adds that
// at the edge.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gantry {

namespace status_internal {
inline absl::Status Make(absl::StatusCode code, const std::string& text) { return {code, text}; }
}  // namespace status_internal

#define GANTRY_STATUS_CONSTRUCTOR(Name, code)                                       \
  template <typename... Args>                                                       \
  absl::Status Name(fmt::format_string<Args...> format, Args&&... args) {           \
    return status_internal::Make(absl::StatusCode::code,                            \
                                 fmt::format(format, std::forward<Args>(args)...)); \
  }

GANTRY_STATUS_CONSTRUCTOR(NotFound, kNotFound)
GANTRY_STATUS_CONSTRUCTOR(AlreadyExists, kAlreadyExists)
GANTRY_STATUS_CONSTRUCTOR(InvalidArgument, kInvalidArgument)
GANTRY_STATUS_CONSTRUCTOR(FailedPrecondition, kFailedPrecondition)
GANTRY_STATUS_CONSTRUCTOR(Unavailable, kUnavailable)
GANTRY_STATUS_CONSTRUCTOR(ResourceExhausted, kResourceExhausted)
GANTRY_STATUS_CONSTRUCTOR(Cancelled, kCancelled)
GANTRY_STATUS_CONSTRUCTOR(DeadlineExceeded, kDeadlineExceeded)
GANTRY_STATUS_CONSTRUCTOR(Unimplemented, kUnimplemented)
GANTRY_STATUS_CONSTRUCTOR(PermissionDenied, kPermissionDenied)
GANTRY_STATUS_CONSTRUCTOR(Unauthenticated, kUnauthenticated)
GANTRY_STATUS_CONSTRUCTOR(OutOfRange, kOutOfRange)
GANTRY_STATUS_CONSTRUCTOR(Aborted, kAborted)
GANTRY_STATUS_CONSTRUCTOR(DataLoss, kDataLoss)
GANTRY_STATUS_CONSTRUCTOR(Internal, kInternal)
GANTRY_STATUS_CONSTRUCTOR(Unknown, kUnknown)
#undef GANTRY_STATUS_CONSTRUCTOR

// The status of a failed system call: `what` and the errno's text, the code as absl::ErrnoToStatus
// maps it. True of the call, not of an API object: whoever called the kernel decides the code that
// a client sees.
absl::Status FromErrno(int error, std::string_view what);

// `status` with "context: " before its message, the same code and the same payloads; OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

// The message a client receives: the status's own, ending in the class text that containerd's Go
// client cuts off
// ("image \"x\": not found"). A message that already ends in a class text of its code is left
// alone, so statuses of a lower layer pass through unchanged.
std::string WireMessage(const absl::Status& status);

// A FailedPrecondition that clients must tell apart by its class text alone.
absl::Status Conflict(std::string_view what);

}  // namespace gantry

#define GANTRY_CONCAT_INNER(a, b) a##b
#define GANTRY_CONCAT(a, b) GANTRY_CONCAT_INNER(a, b)

// Returns the status of `expr` from the enclosing function unless it is OK.
#define RETURN_IF_ERROR(expr)                                       \
  do {                                                              \
    if (absl::Status gantry_status = (expr); !gantry_status.ok()) { \
      return gantry_status;                                         \
    }                                                               \
  } while (false)

// Assigns the value of a StatusOr to `lhs`, or returns its status from the enclosing function.
#define ASSIGN_OR_RETURN(lhs, expr) \
  GANTRY_ASSIGN_OR_RETURN_IMPL(GANTRY_CONCAT(gantry_statusor_, __LINE__), lhs, expr)
#define GANTRY_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                 \
  if (!result.ok()) {                                   \
    return std::move(result).status();                  \
  }                                                     \
  lhs = *std::move(result)
