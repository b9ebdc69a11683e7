// SPDX-License-Identifier: Apache-2.0
// A runtime that is a script, which fails and hangs as no real one does on demand.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "shim/fast/testing/fast_fixture.h"

namespace gantry::shim::testing {

// Keeps in its state directory the pid of the init process. A process that may end soon is no child
// of the script, which might reap it. What a command does beyond that is in
// the file of its name in the directory `faults`, a script that sees $pidfile, $process, $work and
// $id.
inline constexpr const char* kScriptedRuntime = R"sh(
while :; do
  case $1 in
    --root|--log|--log-format) [ $1 = --root ] && root=$2; shift 2;;
    --*) shift;;
    *) break;;
  esac
done
command=$1
while [ $# -gt 1 ]; do
  case $1 in --pid-file) pidfile=$2;; --process) process=$2;; --work-path) work=$2;; esac
  last=$1; shift
done
id=$1
[ $command = kill ] && { signal=$1; id=$last; }
if [ -e "$faults/$command" ]; then . "$faults/$command"; fi
case $command in
  create|restore) mkdir -p "$root/$id"; sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >"$root/$id/pid"; echo $! >"$pidfile";;
  exec) setsid -f sh -c "echo \$\$ >'$pidfile'; $(cat "$script")"; until [ -s "$pidfile" ]; do sleep 0.01; done;;
  kill) kill -$signal "$(cat "$root/$id/pid")";;
  delete) kill -KILL "$(cat "$root/$id/pid")" 2>/dev/null; rm -r "$root/$id";;
esac
)sh";

class ScriptedFixture : public FastFixture {
 protected:
  ScriptedFixture() {
    ::mkdir(Path("faults").c_str(), 0700);
    ::mkdir(Path("bundle").c_str(), 0700);
    WriteFile(Path("bundle/config.json"),
              R"({"process":{"args":["init"],"cwd":"/"},"linux":{"namespaces":[{"type":"pid"}]}})");
    WriteFile(
        Path("runtime"),
        "#!/bin/sh\nfaults=" + Path("faults") + "\nscript=" + Path("script") + kScriptedRuntime,
        0755);
  }

  void Fault(const std::string& command, const std::string& text) const {
    WriteFile(Path("faults/" + command), text);
  }
  messages::CreateTaskRequest Create(const std::string& id = "c") const {
    return CreateRequest(id, Path("bundle"), Path("runtime"), Path("state"));
  }
  void Run() { ASSERT_TRUE(Ask("CreateStart", Create()).ok()); }

  // What the next exec runs.
  void Script(const std::string& text) const { WriteFile(Path("script"), text); }
  static messages::ExecSyncRequest Exec() { return {.id = "c", .args = {"program"}}; }

  size_t FilesInBundle() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(Path("bundle")))
      ++count;
    return count;
  }
};

}  // namespace gantry::shim::testing
