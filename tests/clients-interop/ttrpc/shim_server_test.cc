// SPDX-License-Identifier: Apache-2.0
// The shim's server against the official Go library: the same checks as the daemon's.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "core/kernel/subprocess.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "core/wire/proto_reader.h"
#include "core/wire/proto_writer.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"
#include "shim/server/server.h"

namespace gantry::shim {
namespace {

using gantry::testing::Succeeds;

// google.protobuf.StringValue.
std::string Wrap(std::string_view text) {
  std::string bytes;
  wire::ProtoWriter(bytes).PutString(1, text);
  return bytes;
}

std::string Unwrap(std::string_view bytes) {
  std::string text;
  wire::ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) reader.Read(text);
  }
  return text;
}

Co<Answer> Echo(Call call) { co_return Wrap(Unwrap(call.payload)); }
Co<Answer> Nothing(Call /*call*/) { co_return ""; }
Co<Answer> Namespace(Call call) { co_return Wrap(call.ns); }

Co<Answer> Fail(Call call) {
  const std::string text = Unwrap(call.payload);
  co_return wire::RpcStatus{.code = static_cast<wire::RpcCode>(std::stoi(text)),
                            .message = text.substr(text.find(' ') + 1),
                            .details = {}};
}

Co<Answer> Left(Call call) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(call.deadline - Clock::now());
  co_return Wrap(std::to_string(left.count()));
}

Co<Answer> Big(Call call) { co_return Wrap(std::string(std::stoul(Unwrap(call.payload)), 'b')); }

Co<Answer> Held(Event& released, Call /*call*/) {
  co_await released.Wait();
  co_return "";
}

TEST(ShimServerInteropTest, TheGoClientCallsTheShimsServer) {
  const char* program = std::getenv("GANTRY_TTRPC_PEER");
  if (program == nullptr) return gantry::testing::SkipFor("GANTRY_TTRPC_PEER");
  std::string directory = "/tmp/shim_interop.XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/s.sock";
  const std::unique_ptr<Loop> loop = *Loop::Create();
  Event released(*loop);
  const Methods methods = {
      {"Echo", Echo},
      {"Nothing", Nothing},
      {"Namespace", Namespace},
      {"Fail", Fail},
      {"Left", Left},
      {"Big", Big},
      {"Sleep", [&released](Call call) { return Held(released, std::move(call)); }}};
  auto socket = ListeningSocket::Bind(path);
  ASSERT_THAT(socket, Succeeds());
  const std::unique_ptr<Server> server = *Server::Create(*loop, *std::move(socket), {});
  server->Register("gantry.test.Echo", methods);

  kernel::SpawnOptions options{.program = program, .arguments = {"peer", "call", path}};
  options.stdio = {kernel::Stdio::Null(), kernel::Stdio::Inherit(), kernel::Stdio::Inherit()};
  auto client = kernel::Subprocess::Spawn(options);
  ASSERT_THAT(client, Succeeds());
  FdWatch ended(*loop, client->pidfd(), [&loop](uint32_t) { loop->Stop(); });
  ASSERT_THAT(ended.Arm(EPOLLIN), Succeeds());
  Timer limit(*loop, [&loop] { loop->Stop(); });
  limit.After(std::chrono::minutes(2));
  loop->Run();
  ended.Disarm();
  const auto status = client->Wait(0);
  ASSERT_THAT(status, Succeeds());
  EXPECT_TRUE(status->success());

  released.Set();
  loop->Post([&loop] { loop->Post([&loop] { loop->Stop(); }); });
  loop->Run();
  EXPECT_EQ(server->calls(), 0U);
  ::rmdir(directory.c_str());
}

}  // namespace
}  // namespace gantry::shim
