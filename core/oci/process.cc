// SPDX-License-Identifier: Apache-2.0
#include "core/oci/process.h"

#include <utility>

#include "core/oci/default_spec.h"
#include "core/oci/environment.h"

namespace gantry::oci {
namespace {

Json& Process(Json& spec) { return ObjectMember(spec, "process"); }

}  // namespace

void SetArgs(Json& spec, const std::vector<std::string>& args) {
  Process(spec)["args"] = args;
  Process(spec).erase("commandLine");
}

void SetCwd(Json& spec, const std::string& cwd) { Process(spec)["cwd"] = cwd; }

void AddEnvironment(Json& spec, const std::vector<std::string>& entries) {
  if (entries.empty()) return;
  Process(spec)["env"] = MergeEnvironment(StringsMember(Process(spec), "env"), entries);
}

void SetTerminal(Json& spec) {
  Process(spec)["terminal"] = true;
  ArrayMember(Process(spec), "env").push_back("TERM=xterm");
}

void SetNoNewPrivileges(Json& spec, bool on) {
  if (on) {
    Process(spec)["noNewPrivileges"] = true;
  } else {
    Process(spec).erase("noNewPrivileges");
  }
}

void SetApparmorProfile(Json& spec, const std::string& name) {
  Process(spec)["apparmorProfile"] = name;
}

void SetRlimit(Json& spec, const std::string& type, uint64_t soft, uint64_t hard) {
  Json limit = {{"type", type}, {"hard", hard}, {"soft", soft}};
  Json& limits = ArrayMember(Process(spec), "rlimits");
  for (Json& existing : limits) {
    if (StringMember(existing, "type") == type) {
      existing = std::move(limit);
      return;
    }
  }
  limits.push_back(std::move(limit));
}

void ApplyImageConfig(Json& spec, const imagespec::ImageConfig& image) {
  std::vector<std::string> env = image.env;
  if (env.empty()) env.emplace_back(DefaultPath());
  Process(spec)["env"] = MergeEnvironment(std::move(env), StringsMember(Process(spec), "env"));
  std::vector<std::string> args = image.entrypoint;
  args.insert(args.end(), image.cmd.begin(), image.cmd.end());
  if (!args.empty()) SetArgs(spec, args);
  SetCwd(spec, image.working_dir.empty() ? "/" : image.working_dir);
}

}  // namespace gantry::oci
