// SPDX-License-Identifier: Apache-2.0
// Random and mutated input: nothing crashes, memory stays bounded. Seeds are fixed, so a failure
// repeats.
#include <gmock/gmock.h>

#include <random>

#include "core/wire/client_connection.h"
#include "core/wire/proto_reader.h"
#include "core/wire/server_connection.h"

namespace gantry::wire {
namespace {

// A conversation that is well-formed but for a few changed bytes.
std::string MutatedConversation(std::mt19937& random) {
  std::string bytes;
  for (uint32_t stream = 1; stream < 40; stream += 1 + random() % 2) {
    const auto type = static_cast<FrameType>(random() % 5);
    const std::string data =
        random() % 2 == 0
            ? EncodeRequest(
                  {.service = "s", .method = "m", .payload = std::string(random() % 300, 'p')})
            : EncodeResponse({.status = MakeStatus(RpcCode::kAborted, "x"), .payload = "p"});
    AppendFrame(bytes, stream, type, static_cast<uint8_t>(random() % 8), data);
  }
  for (size_t changes = random() % 6; changes > 0; --changes) {
    // Length bytes are left alone half of the time: a huge one ends the conversation at once.
    bytes[random() % bytes.size()] = static_cast<char>(random());
  }
  return bytes;
}

template <typename Connection>
void FeedInPieces(Connection& connection, std::string_view bytes, std::mt19937& random) {
  while (!bytes.empty()) {
    const size_t step = std::min<size_t>(bytes.size(), 1 + random() % 700);
    connection.Feed(bytes.substr(0, step));
    bytes.remove_prefix(step);
    while (connection.Next()) {
    }
  }
}

TEST(FuzzTest, AServerSurvivesAnyInputInBoundedMemory) {
  std::mt19937 random(20240501);
  for (int round = 0; round < 2000; ++round) {
    ServerConnection server(8);
    const std::string bytes = MutatedConversation(random);
    FeedInPieces(server, bytes, random);
    EXPECT_LE(server.open_calls(), 8U);
    EXPECT_LE(server.output().size(), bytes.size() * 10 + 1000);
  }
}

TEST(FuzzTest, AClientSurvivesAnyInput) {
  std::mt19937 random(20240502);
  for (int round = 0; round < 2000; ++round) {
    ClientConnection client;
    for (int i = 0; i < 10; ++i) {
      const auto mode = static_cast<ClientConnection::Mode>(random() % 3);
      ASSERT_TRUE(client.Start({.service = "s", .method = "m"}, mode));
    }
    const size_t sent = client.output().size();
    FeedInPieces(client, MutatedConversation(random), random);
    EXPECT_LE(client.open_calls(), 10U);
    EXPECT_EQ(client.output().size(), sent);
  }
}

TEST(FuzzTest, NoiseIsSurvivedByAllDecoders) {
  std::mt19937 random(20240503);
  for (int round = 0; round < 20'000; ++round) {
    std::string noise(random() % 64, '\0');
    for (char& byte : noise) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 48);
    DecodeRequest(noise);
    DecodeResponse(noise);
    ProtoReader reader(noise);
    std::vector<uint64_t> numbers;
    while (reader.Next()) reader.Append(numbers);
    EXPECT_LE(numbers.size(), noise.size());
  }
}

TEST(FuzzTest, EveryTruncationOfARequestIsRefusedOrShorter) {
  const std::string bytes = EncodeRequest({.service = "service",
                                           .method = "method",
                                           .payload = "payload",
                                           .timeout_nano = -1,
                                           .metadata = {{"k", "v"}}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto request = DecodeRequest(bytes.substr(0, size));
    if (request) {
      EXPECT_LT(EncodeRequest(*request).size(), bytes.size());
    }
  }
}

}  // namespace
}  // namespace gantry::wire
