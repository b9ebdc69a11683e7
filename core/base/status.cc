// SPDX-License-Identifier: Apache-2.0
#include "core/base/status.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace gantry {
namespace {

struct ClassText {
  absl::StatusCode code;
  std::string_view text;
};

// The first text of a code is the one added to a message that has none.
constexpr std::array kClassTexts = {
    ClassText{absl::StatusCode::kInvalidArgument, "invalid argument"},
    ClassText{absl::StatusCode::kNotFound, "not found"},
    ClassText{absl::StatusCode::kAlreadyExists, "already exists"},
    ClassText{absl::StatusCode::kPermissionDenied, "permission denied"},
    ClassText{absl::StatusCode::kResourceExhausted, "resource exhausted"},
    ClassText{absl::StatusCode::kFailedPrecondition, "failed precondition"},
    ClassText{absl::StatusCode::kFailedPrecondition, "conflict"},
    ClassText{absl::StatusCode::kFailedPrecondition, "not modified"},
    ClassText{absl::StatusCode::kAborted, "aborted"},
    ClassText{absl::StatusCode::kOutOfRange, "out of range"},
    ClassText{absl::StatusCode::kUnimplemented, "not implemented"},
    ClassText{absl::StatusCode::kInternal, "internal"},
    ClassText{absl::StatusCode::kUnavailable, "unavailable"},
    ClassText{absl::StatusCode::kDataLoss, "data loss"},
    ClassText{absl::StatusCode::kUnauthenticated, "unauthenticated"},
    ClassText{absl::StatusCode::kUnauthenticated, "unauthorized"},  // as Go peers write it
    ClassText{absl::StatusCode::kDeadlineExceeded, "context deadline exceeded"},
    ClassText{absl::StatusCode::kCancelled, "context canceled"},
};

}  // namespace

absl::Status FromErrno(int error, std::string_view what) {
  std::array<char, 128> buffer{};
  const char* text = ::strerror_r(error, buffer.data(), buffer.size());
  // A disk that fails is nobody's wrong call; Abseil has no word for the one and blames the caller
  // for the other.
  const bool broken = error == EIO || error == EROFS;
  const absl::StatusCode code =
      broken ? absl::StatusCode::kInternal : absl::ErrnoToStatusCode(error);
  return {code, fmt::format("{}: {}", what, text)};
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  const auto message = status.message();
  absl::Status annotated(
      status.code(),
      fmt::format("{}: {}", context, std::string_view(message.data(), message.size())));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

std::string WireMessage(const absl::Status& status) {
  const auto raw = status.message();
  std::string message(raw.data(), raw.size());
  std::string_view addition;
  for (const ClassText& entry : kClassTexts) {
    if (entry.code != status.code()) continue;
    if (message.ends_with(entry.text)) return message;
    if (addition.empty()) addition = entry.text;
  }
  if (addition.empty()) return message;
  if (message.empty()) return std::string(addition);
  return message + ": " + std::string(addition);
}

absl::Status Conflict(std::string_view what) { return FailedPrecondition("{}: conflict", what); }

}  // namespace gantry
