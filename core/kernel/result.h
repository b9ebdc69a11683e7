// SPDX-License-Identifier: Apache-2.0
// Error and Result<T>: what the rooms that must stay small (core/kernel, core/wire, shim) use in
// place of absl::Status, whose library alone is larger than a whole shim.
#pragma once

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace gantry::kernel {

// A failed act: an errno value, and the act and its object ("open /run/x").
struct Error {
  int err = 0;
  std::string what;

  // "open /run/x: No such file or directory". Never localised.
  std::string Text() const;
};

// The error that errno holds now. Call it before anything that may change errno.
inline Error LastError(std::string what) { return {errno, std::move(what)}; }

// A T, or the reason why there is none. The accessors of the absent side must not be called.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : value_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return value_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& operator*() & { return *std::get_if<0>(&value_); }
  const T& operator*() const& { return *std::get_if<0>(&value_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&value_)); }
  T* operator->() { return std::get_if<0>(&value_); }
  const T* operator->() const { return std::get_if<0>(&value_); }

  const Error& error() const& { return *std::get_if<1>(&value_); }
  Error&& error() && { return std::move(*std::get_if<1>(&value_)); }

 private:
  std::variant<T, Error> value_;
};

// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }

  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

  // For outcomes that the caller has no use for; say why beside the call.
  void Ignore() const {}

 private:
  std::optional<Error> error_;
};

}  // namespace gantry::kernel
