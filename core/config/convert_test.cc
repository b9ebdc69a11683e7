// SPDX-License-Identifier: Apache-2.0
#include "core/config/convert.h"

#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/config/merge.h"
#include "core/config/toml.h"
#include "gtest/gtest.h"

namespace gantry::config {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;

Table Parse(const std::string& text) {
  absl::StatusOr<Table> table = ParseToml(text, "f");
  EXPECT_THAT(table, IsOk());
  return *std::move(table);
}

Value Converted(const std::string& text) {
  Table tree = Parse(text);
  std::vector<Warning> warnings;
  EXPECT_THAT(ConvertToCurrent(tree, "f", warnings), IsOk());
  return Value(std::move(tree));
}

absl::Status StatusOfConverting(const std::string& text) {
  Table tree = Parse(text);
  std::vector<Warning> warnings;
  return ConvertToCurrent(tree, "f", warnings);
}

TEST(ConvertTest, VersionsTwoToFourAreRead) {
  EXPECT_THAT(StatusOfConverting("version = 2"), IsOk());
  EXPECT_THAT(StatusOfConverting("version = 4"), IsOk());
  using enum absl::StatusCode;
  EXPECT_THAT(StatusOfConverting("version = 5"), StatusIs(kFailedPrecondition, HasSubstr("newer")));
  EXPECT_THAT(StatusOfConverting("version = 1"),
              StatusIs(kFailedPrecondition, HasSubstr("version 1 is not read")));
  EXPECT_THAT(StatusOfConverting("root = '/x'"),
              StatusIs(kFailedPrecondition, HasSubstr("no version")));
  EXPECT_THAT(StatusOfConverting("version = 'x'"), StatusIs(kInvalidArgument));
}

TEST(ConvertTest, ServerSectionsBecomePlugins) {
  const std::string moved = R"(version = 4
[debug]
level = 'debug'
[plugins.'io.containerd.server.v1.grpc']
address = '/x.sock'
uid = 1
gid = 2
max_recv_message_size = 10
[plugins.'io.containerd.server.v1.grpc-tcp']
address = '127.0.0.1:1'
tls_ca = 'ca'
tls_common_name = 'cn'
max_recv_message_size = 10
[plugins.'io.containerd.server.v1.ttrpc']
uid = 1
gid = 2
[plugins.'io.containerd.server.v1.debug']
address = '/d.sock'
uid = 3
[plugins.'io.containerd.server.v1.metrics']
address = '127.0.0.1:2'
[plugins.'io.containerd.metrics.v1.grpc-prometheus']
grpc_histogram = true
)";
  for (const std::string version : {"2", "3"}) {
    EXPECT_EQ(Converted("version = " + version + R"(
[debug]
address = '/d.sock'
uid = 3
level = 'debug'
[grpc]
address = '/x.sock'
uid = 1
gid = 2
max_recv_message_size = 10
tcp_address = '127.0.0.1:1'
tcp_tls_ca = 'ca'
tcp_tls_common_name = 'cn'
[metrics]
address = '127.0.0.1:2'
grpc_histogram = true
)"),
              Value(Parse(moved)));
  }
}

TEST(ConvertTest, ATtrpcSectionWithItsOwnAddressDoesNotFollowGrpc) {
  EXPECT_EQ(Converted("version = 3\n[grpc]\nuid = 1\n[ttrpc]\naddress = '/t'\nuid = 7\n"),
            Value(Parse(R"(version = 4
[plugins.'io.containerd.server.v1.grpc']
uid = 1
[plugins.'io.containerd.server.v1.ttrpc']
address = '/t'
uid = 7
)")));
}

TEST(ConvertTest, APluginSectionThatIsThereWinsOverTheOldPlace) {
  EXPECT_EQ(
      Converted(R"(version = 3
[grpc]
address = '/old'
[plugins.'io.containerd.server.v1.grpc']
address = '/new'
)"),
      Value(Parse("version = 4\n[plugins.'io.containerd.server.v1.grpc']\naddress = '/new'\n")));
}

TEST(ConvertTest, MovedPluginsKeepTheirSections) {
  EXPECT_EQ(Converted(R"(version = 2
[plugins.'io.containerd.internal.v1.restart']
interval = '5s'
[plugins.'io.containerd.monitor.v1.cgroups']
no_prometheus = true
[plugins.'io.containerd.runtime.v2.task']
platforms = ['linux/amd64']
sched_core = true
)"),
            Value(Parse(R"(version = 4
[plugins.'io.containerd.monitor.container.v1.restart']
interval = '5s'
[plugins.'io.containerd.monitor.task.v1.cgroups']
no_prometheus = true
[plugins.'io.containerd.runtime.v2.task']
platforms = ['linux/amd64']
[plugins.'io.containerd.shim.v1.manager']
env = ['SCHED_CORE=1']
)")));
}

TEST(ConvertTest, OfTwoSectionsOfAMovedPluginTheNewOneWinsAndTheOldIsNamed) {
  Table tree = Parse(R"(version = 2
[plugins.'io.containerd.internal.v1.restart']
interval = '5s'
[plugins.'io.containerd.monitor.container.v1.restart']
interval = '7s'
)");
  std::vector<Warning> warnings;
  ASSERT_THAT(ConvertToCurrent(tree, "f", warnings), IsOk());
  EXPECT_EQ(Value(tree), Value(Parse(R"(version = 4
[plugins.'io.containerd.monitor.container.v1.restart']
interval = '7s'
)")));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].key, "io.containerd.internal.v1.restart");
  EXPECT_EQ(warnings[0].position.line, 2u);
}

TEST(ConvertTest, CriSplitsIntoImagesRuntimeAndServer) {
  EXPECT_EQ(Converted(R"(version = 2
[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = 'pause:3'
max_concurrent_downloads = 5
enable_selinux = true
enable_cdi = false
stream_server_port = '10010'
[plugins.'io.containerd.grpc.v1.cri'.registry]
config_path = '/etc/certs.d'
[plugins.'io.containerd.grpc.v1.cri'.cni]
bin_dir = '/opt/cni/bin'
conf_dir = '/etc/cni/net.d'
[plugins.'io.containerd.grpc.v1.cri'.containerd]
snapshotter = 'native'
default_runtime_name = 'runc'
[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
sandbox_mode = 'podsandbox'
)"),
            Value(Parse(R"(version = 4
[plugins.'io.containerd.grpc.v1.cri']
stream_server_port = '10010'
[plugins.'io.containerd.cri.v1.images']
max_concurrent_downloads = 5
snapshotter = 'native'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = 'pause:3'
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = '/etc/certs.d'
[plugins.'io.containerd.cri.v1.runtime']
enable_selinux = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['/opt/cni/bin']
conf_dir = '/etc/cni/net.d'
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = 'runc'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
sandboxer = 'podsandbox'
)")));
}

TEST(MergeTest, LaterFilesFollowTheRules) {
  Table earlier = Parse(R"(
root = '/a'
oom_score = -5
disabled_plugins = ['x.y']
[debug]
level = 'info'
format = 'json'
[plugins.'a.b']
on = true
list = [1, 2]
[plugins.'a.b'.deep]
x = 1
y = 2
[timeouts]
t = '1s'
u = '2s'
[proxy_plugins.p]
type = 'snapshot'
address = '/p'
)");
  Merge(earlier, Parse(R"(
root = ''
oom_score = 0
state = '/s'
disabled_plugins = ['x.y', 'z.w']
[debug]
level = 'trace'
format = ''
[plugins.'a.b']
on = false
list = [3]
[plugins.'a.b'.deep]
y = 0
[plugins.'c.d']
k = 'v'
[timeouts]
t = '5s'
[proxy_plugins.p]
type = 'content'
)"));
  EXPECT_EQ(Value(earlier), Value(Parse(R"(
root = '/a'
oom_score = -5
state = '/s'
disabled_plugins = ['x.y', 'z.w']
[debug]
level = 'trace'
format = 'json'
[plugins.'a.b']
on = false
list = [3]
[plugins.'a.b'.deep]
x = 1
y = 0
[plugins.'c.d']
k = 'v'
[timeouts]
t = '5s'
u = '2s'
[proxy_plugins.p]
type = 'content'
)")));
}

}  // namespace
}  // namespace gantry::config
