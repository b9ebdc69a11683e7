// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"

namespace gantry::gctr {

inline constexpr std::string_view kDefaultAddress = "/run/gantry/gantry.sock";

// The environment that commands look at.
struct Environment {
  std::string snapshotter;             // CONTAINERD_SNAPSHOTTER
  std::string editor;                  // VISUAL, else EDITOR
  std::string source_date_epoch;       // SOURCE_DATE_EPOCH
  std::string temporary_directory;     // XDG_RUNTIME_DIR, else /tmp
  bool suppress_deprecations = false;  // CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS

  static Environment Read();
};

// One run of gctr: its settings, and its connection once a command asks for it.
class Session {
 public:
  Session(ClientOptions options, bool debug, Environment environment)
      : options_(std::move(options)), debug_(debug), environment_(std::move(environment)) {}

  // Connects on the first call, and then prints what the daemon finds outdated in its use.
  absl::StatusOr<Client*> Connect();

  const ClientOptions& options() const { return options_; }
  const Environment& environment() const { return environment_; }

  // Lines on standard error: "gctr: …".
  void Warn(std::string_view text) const;
  void Debug(std::string_view text) const;  // with --debug alone
  void Report(const absl::Status& status) const;

 private:
  void WarnOfDeprecations();

  ClientOptions options_;
  bool debug_;
  Environment environment_;
  std::unique_ptr<Client> client_;
};

}  // namespace gantry::gctr
