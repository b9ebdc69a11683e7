// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/own_shims.h"

#include <string>
#include <string_view>
#include <system_error>

#include "core/log/log.h"
#include "core/runtime/command.h"
#include "shim/group/connected_start.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOwnName = "containerd-shim-gantry-v2";
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr size_t kMaxAnswerBytes = 4096;
constexpr size_t kRememberedPrograms = 8;

// The file behind all links, which is what its name is worth something of.
fs::path FileOf(const fs::path& program) {
  std::error_code error;
  fs::path file = fs::canonical(program, error);
  return error ? program : file;
}

}  // namespace

std::optional<bool> OwnShims::Known(const fs::path& program) {
  const fs::path path = FileOf(program);
  if (path.filename() != kOwnName) return false;
  const ProgramFile file = IdentifyProgram(path);
  base::MutexLock lock(mutex_);
  for (const auto& [known, connectable] : answers_) {
    if (known == file) return connectable;
  }
  return std::nullopt;
}

void OwnShims::Remember(const ProgramFile& file, bool connectable) {
  base::MutexLock lock(mutex_);
  std::erase_if(answers_, [&](const auto& entry) { return entry.first == file; });
  if (answers_.size() == kRememberedPrograms) answers_.pop_front();
  answers_.emplace_back(file, connectable);
}

void OwnShims::Ask(const fs::path& program, Told told) {
  const fs::path path = FileOf(program);
  Command command{.max_output_bytes = kMaxAnswerBytes};
  command.spawn.program = path.string();
  command.spawn.arguments = {path.string(), "-v"};
  command.budget = kPatience;
  RunCommand(loop_, std::move(command),
             [this, path, file = IdentifyProgram(path),
              told = std::move(told)](const absl::StatusOr<CommandOutput>& answer) mutable {
               if (!answer.ok() || !answer->status.success()) {
                 log::Warn("a shim does not tell its version", {{"program", path.string()}});
                 return told(false);
               }
               const bool connectable =
                   answer->output.find(shim::kConnectedStartLine) != std::string::npos;
               Remember(file, connectable);
               told(connectable);
             });
}

}  // namespace gantry::runtime
