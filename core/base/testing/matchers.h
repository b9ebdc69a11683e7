// SPDX-License-Identifier: Apache-2.0
// IsOk, IsOkAndHolds and StatusIs for absl::Status and absl::StatusOr.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gantry::testing {

inline absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& value) {
  return value.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

MATCHER_P(StatusIs, code, "has status code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

MATCHER_P2(StatusIs, code, message,
           "has status code " + absl::StatusCodeToString(code) + " and message") {
  *result_listener << StatusOf(arg).ToString();
  const ::absl::Status status = StatusOf(arg);
  const auto text = status.message();
  return StatusOf(arg).code() == code &&
         ::testing::ExplainMatchResult(message, std::string(text.data(), text.size()),
                                       result_listener);
}

MATCHER_P(IsOkAndHolds, value, "is OK and holds a value") {
  if (!arg.ok()) {
    *result_listener << StatusOf(arg).ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace gantry::testing
