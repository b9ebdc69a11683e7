// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/launcher.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/runtime/task/v3/shim.pb.h"
#include "proto/types/introspection.pb.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;
using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::gantry::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() {
    fs::create_directories(roots_.state);
    fs::create_directories(roots_.root);
    bundle_.emplace(*Bundle::Create(roots_, "ns", "c1", "{}"));
  }

  fs::path Program(const std::string& script) {
    const fs::path path = dir_.path() / ("shim" + std::to_string(++programs_));
    std::ofstream(path) << "#!/bin/sh\n" << script;
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }

  absl::StatusOr<StartAnswer> Start(const fs::path& program,
                                    absl::Duration budget = absl::Seconds(20)) {
    google::protobuf::Any options;
    options.set_type_url("containerd.runc.v1.Options");
    return Result<StartAnswer>(
        [&](auto done) { launcher_.Start(*bundle_, program, options, budget, std::move(done)); });
  }

  template <typename T, typename Call>
  absl::StatusOr<T> Result(Call call) {
    std::promise<absl::StatusOr<T>> result;
    call([&](absl::StatusOr<T> value) { result.set_value(std::move(value)); });
    return result.get_future().get();
  }

  std::string Read(const fs::path& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  TempDir dir_;
  BundleRoots roots_{.state = dir_.path() / "state", .root = dir_.path() / "root"};
  std::optional<Bundle> bundle_;
  int programs_ = 0;
  std::unique_ptr<Loop> loop_ = *Loop::Start("test");
  base::WorkerPool pool_{"test", 2, 16};
  Steps steps_{pool_, *loop_};
  Launcher launcher_{*loop_,
                     steps_,
                     {.daemon_version = "2.4.0",
                      .daemon_binary = "/usr/bin/gantryd",
                      .grpc_address = "/run/g.sock",
                      .ttrpc_address = "/run/g.sock.ttrpc",
                      .environment = {"SCHED_CORE=1"},
                      .open_files = rlimit{.rlim_cur = 60, .rlim_max = 70}}};
};

TEST_F(LauncherTest, PassesArgumentsEnvironmentAndFolder) {
  ::setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
  const auto answer =
      Start(Program("echo \"$@\" > args; env | sort > env; pwd > pwd; ulimit -Sn > limit; ulimit "
                    "-Hn >> limit; cat > stdin; printf unix:///run/x.sock"));
  ::unsetenv("NOTIFY_SOCKET");
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->endpoint, (Endpoint{2, "unix:///run/x.sock", "ttrpc"}));
  EXPECT_EQ(Read(bundle_->path() / "args"),
            "-namespace ns -address /run/g.sock -publish-binary /usr/bin/gantryd -id c1 start\n");
  EXPECT_EQ(Read(bundle_->path() / "pwd"), bundle_->path().string() + "\n");
  EXPECT_THAT(Read(bundle_->path() / "env"),
              AllOf(HasSubstr("TTRPC_ADDRESS=/run/g.sock.ttrpc\n"),
                    HasSubstr("GRPC_ADDRESS=/run/g.sock\n"), HasSubstr("NAMESPACE=ns\n"),
                    HasSubstr("MAX_SHIM_VERSION=2\n"), HasSubstr("GOMAXPROCS=2\n"),
                    HasSubstr("SCHED_CORE=1\n"), ::testing::Not(HasSubstr("NOTIFY_SOCKET"))));
  EXPECT_THAT(Read(bundle_->path() / "stdin"), HasSubstr("c1"));
  EXPECT_EQ(Read(bundle_->path() / "limit"), "60\n70\n");
}

TEST_F(LauncherTest, RetriesOnceInTheLegacyDialectAndRemembersIt) {
  const fs::path program = Program(
      "echo run >> runs; if grep -q c1 -; then echo bad options >&2; exit 1; fi; printf unix:///y");
  EXPECT_THAT(Start(program), IsOk());
  EXPECT_EQ(Read(bundle_->path() / "runs"), "run\nrun\n");
  EXPECT_THAT(Start(program), IsOk());
  EXPECT_EQ(Read(bundle_->path() / "runs"), "run\nrun\nrun\n");
  // Another program under the same name is unknown again.
  fs::remove(program);
  std::ofstream(program) << "#!/bin/sh\n echo run >> runs; cat > /dev/null; printf unix:///z";
  fs::permissions(program, fs::perms::owner_all);
  EXPECT_EQ(Start(program)->endpoint.address, "unix:///z");
  EXPECT_EQ(Read(bundle_->path() / "runs"), "run\nrun\nrun\nrun\n");
}

TEST_F(LauncherTest, AKnownDialectIsNotRetried) {
  const fs::path program = Program(
      "echo run >> runs; [ -e broken ] && { echo no space >&2; exit 1; }; printf unix:///y");
  ASSERT_THAT(Start(program), IsOk());
  std::ofstream(bundle_->path() / "broken") << "";
  EXPECT_THAT(Start(program), StatusIs(absl::StatusCode::kUnknown, "no space: exit status 1"));
  EXPECT_EQ(Read(bundle_->path() / "runs"), "run\nrun\n");
}

TEST_F(LauncherTest, ShimsOfTheFirstVersionAreNeverAskedInTheModernDialect) {
  const fs::path named = dir_.path() / "containerd-shim-runc-v1";
  fs::rename(Program("cat > stdin; printf unix:///y"), named);
  ASSERT_THAT(Start(named), IsOk());
  google::protobuf::Any options;
  ASSERT_TRUE(options.ParseFromString(Read(bundle_->path() / "stdin")));
  EXPECT_EQ(options.type_url(), "containerd.runc.v1.Options");
}

TEST_F(LauncherTest, AFailureSaysWhatTheShimSaid) {
  EXPECT_THAT(Start(Program("echo no such runtime >&2; exit 1")),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("no such runtime: exit status 1")));
  EXPECT_THAT(Start(Program("kill -9 $$")),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("killed by signal 9")));
  EXPECT_THAT(Start("/nonexistent/shim"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(LauncherTest, AHangingShimIsKilled) {
  EXPECT_THAT(Start(Program("sleep 30"), absl::Milliseconds(100)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(LauncherTest, DeleteReadsTheExit) {
  ::containerd::task::v3::DeleteResponse response;
  response.set_pid(42);
  response.set_exit_status(137);
  response.mutable_exited_at()->set_seconds(1'700'000'000);
  std::ofstream(dir_.path() / "response") << response.SerializeAsString();
  const fs::path program =
      Program("echo \"$@\" > args; echo careful >&2; cat " + (dir_.path() / "response").string());
  EXPECT_THAT(Result<Exit>([&](auto done) {
                launcher_.Delete(*bundle_, program, absl::Seconds(20), std::move(done));
              }),
              IsOkAndHolds(Exit{42, 137, absl::FromUnixSeconds(1'700'000'000)}));
  EXPECT_THAT(Read(bundle_->path() / "args"),
              HasSubstr("-id c1 -bundle " + bundle_->path().string() + " delete\n"));
}

TEST_F(LauncherTest, InfoToleratesAnExtraWrapping) {
  ::containerd::types::RuntimeInfo info;
  info.set_name("io.containerd.runc.v2");
  google::protobuf::Any wrapped;
  wrapped.set_type_url("containerd.types.RuntimeInfo");
  wrapped.set_value(info.SerializeAsString());
  for (const std::string& answer : {info.SerializeAsString(), wrapped.SerializeAsString()}) {
    std::ofstream(dir_.path() / "answer") << answer;
    const fs::path program = Program("cat " + (dir_.path() / "answer").string());
    const auto got = Result<::containerd::types::RuntimeInfo>([&](auto done) {
      launcher_.Info(program, std::nullopt, absl::Seconds(20), std::move(done));
    });
    ASSERT_THAT(got, IsOk());
    EXPECT_EQ(got->name(), "io.containerd.runc.v2");
  }
  const fs::path old = Program("echo flag provided but not defined: -info >&2; exit 2");
  EXPECT_THAT(Result<::containerd::types::RuntimeInfo>([&](auto done) {
                launcher_.Info(old, std::nullopt, absl::Seconds(20), std::move(done));
              }),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("not defined")));
}

}  // namespace
}  // namespace gantry::runtime
