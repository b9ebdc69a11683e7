// SPDX-License-Identifier: Apache-2.0
// The compact codec against the full protobuf library.
#include <gmock/gmock.h>

#include <limits>
#include <random>

#include "cgroups/v2/metrics.pb.h"
#include "core/wire/proto_reader.h"
#include "core/wire/proto_writer.h"
#include "core/wire/rpc_status.h"
#include "core/wire/ttrpc_envelope.h"
#include "ttrpc/request.pb.h"

namespace gantry::wire {
namespace {

using ::testing::ElementsAre;

Request FullRequest() {
  return {.service = "containerd.task.v3.Task",
          .method = "Create",
          .payload = std::string("\x08\x01\x00", 3),
          .timeout_nano = 5'000'000'000,
          .metadata = {{"containerd-namespace-ttrpc", "default"}, {"empty", ""}}};
}

TEST(EnvelopeTest, RequestsAreByteEqualToProtobufs) {
  for (const int64_t timeout : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{5'000'000'000},
                                std::numeric_limits<int64_t>::min()}) {
    Request request = FullRequest();
    request.timeout_nano = timeout;
    ::ttrpc::Request full;
    full.set_service(request.service);
    full.set_method(request.method);
    full.set_payload(request.payload);
    full.set_timeout_nano(request.timeout_nano);
    for (const auto& [key, value] : request.metadata) {
      auto* pair = full.add_metadata();
      pair->set_key(key);
      pair->set_value(value);
    }
    EXPECT_EQ(EncodeRequest(request), full.SerializeAsString());
    EXPECT_EQ(DecodeRequest(full.SerializeAsString()), request);
  }
  EXPECT_EQ(EncodeRequest({}), "");
  EXPECT_EQ(DecodeRequest(""), Request{});
}

TEST(EnvelopeTest, ResponsesAreByteEqualToProtobufs) {
  const Response response{.status = {.code = RpcCode::kNotFound,
                                     .message = "container x: not found",
                                     .details = {"\x0a\x03"
                                                 "a/b",
                                                 ""}},
                          .payload = std::string(300, 'p')};
  ::ttrpc::Response full;
  full.mutable_status()->set_code(5);
  full.mutable_status()->set_message(response.status.message);
  full.mutable_status()->add_details()->set_type_url("a/b");
  full.mutable_status()->add_details();
  full.set_payload(response.payload);
  EXPECT_EQ(EncodeResponse(response), full.SerializeAsString());
  EXPECT_EQ(DecodeResponse(full.SerializeAsString()), response);
  EXPECT_EQ(EncodeResponse({}), "") << "success has no status";
}

TEST(EnvelopeTest, AStatusOfCodeZeroIsSuccess) {
  ::ttrpc::Response full;
  full.mutable_status();
  auto response = DecodeResponse(full.SerializeAsString());
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->status.ok());
}

TEST(EnvelopeTest, MetadataIsFoundInAnyCaseAndTheFirstCounts) {
  const Metadata metadata = {{"Containerd-Namespace-TTRPC", "a"},
                             {"containerd-namespace-ttrpc", "b"}};
  EXPECT_EQ(FindMetadata(metadata, "containerd-namespace-ttrpc"), "a");
  EXPECT_EQ(FindMetadata(metadata, "other"), std::nullopt);
}

TEST(StatusTest, MessagesEndInTheirClassText) {
  EXPECT_EQ(MakeStatus(RpcCode::kNotFound, "task x").message, "task x: not found");
  EXPECT_EQ(MakeStatus(RpcCode::kNotFound, "task x: not found").message, "task x: not found");
  EXPECT_EQ(MakeStatus(RpcCode::kUnimplemented, "").message, "not implemented");
  EXPECT_EQ(ClassText(static_cast<RpcCode>(99)), "unknown");
  EXPECT_EQ(ClassText(static_cast<RpcCode>(-1)), "unknown");
}

TEST(WriterTest, AllKindsOfFieldsAreByteEqualToProtobufs) {
  ::io::containerd::cgroups::v2::Metrics full;
  full.mutable_pids()->set_current(7);
  full.mutable_pids()->set_limit(std::numeric_limits<uint64_t>::max());
  full.mutable_cpu();
  full.mutable_memory()->set_anon(1ULL << 40);
  auto* entry = full.mutable_io()->add_usage();
  entry->set_major(253);
  entry->set_rbytes(300);
  full.mutable_io()->add_usage();

  std::string bytes;
  ProtoWriter writer(bytes);
  writer.AddMessage(1, [](ProtoWriter& pids) {
    pids.PutUint(1, 7);
    pids.PutUint(2, std::numeric_limits<uint64_t>::max());
  });
  writer.AddMessage(2, [](ProtoWriter&) {});
  writer.AddMessage(4, [](ProtoWriter& memory) { memory.PutUint(1, 1ULL << 40); });
  writer.AddMessage(6, [](ProtoWriter& io) {
    io.AddMessage(1, [](ProtoWriter& usage) {
      usage.PutUint(1, 253);
      usage.PutUint(3, 300);
    });
    io.AddMessage(1, [](ProtoWriter&) {});
  });
  EXPECT_EQ(bytes, full.SerializeAsString());
}

TEST(WriterTest, LengthsGrowBeyondOneByte) {
  for (const size_t size : {0UL, 1UL, 127UL, 128UL, 16'383UL, 16'384UL, 3'000'000UL}) {
    std::string bytes;
    ProtoWriter writer(bytes);
    const std::string text(size, 't');
    writer.AddMessage(3, [&](ProtoWriter& nested) { nested.AddString(1, text); });
    ProtoReader outer(bytes);
    ASSERT_TRUE(outer.Next());
    std::string_view nested;
    outer.Read(nested);
    ProtoReader inner(nested);
    ASSERT_TRUE(inner.Next());
    std::string read;
    inner.Read(read);
    EXPECT_EQ(read, text);
  }
}

TEST(ReaderTest, ValuesOfEveryKindComeBack) {
  std::string bytes;
  ProtoWriter writer(bytes);
  writer.PutInt(1, -5);
  writer.PutBool(2, true);
  writer.PutDouble(3, -0.0);
  writer.PutDouble(4, 2.5);
  writer.PutPacked(5, std::vector<uint64_t>{1, 300, 0});
  writer.AddUint(5, 4);
  writer.AddMapEntry(6, "k", "");
  int32_t narrow = 0;
  bool flag = false;
  double number = 0;
  std::vector<uint64_t> list;
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) reader.Read(narrow);
    if (reader.field() == 2) reader.Read(flag);
    if (reader.field() == 4) reader.Read(number);
    if (reader.field() == 5) reader.Append(list);
  }
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(narrow, -5);
  EXPECT_TRUE(flag);
  EXPECT_EQ(number, 2.5);
  EXPECT_THAT(list, ElementsAre(1, 300, 0, 4));
}

TEST(ReaderTest, AFieldOfTheWrongKindIsSkipped) {
  std::string bytes;
  ProtoWriter writer(bytes);
  writer.AddString(1, "text");
  uint64_t number = 9;
  ProtoReader reader(bytes);
  ASSERT_TRUE(reader.Next());
  reader.Read(number);
  EXPECT_EQ(number, 9U);
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

TEST(ReaderTest, MalformedBytesAreTold) {
  using std::string_literals::operator""s;
  for (const std::string& bytes :
       {"\x08"s, "\x00\x01"s, "\x0a\x05xx"s, "\x0b"s, "\x0c"s, "\x09\x01"s, "\x0d\x01"s, "\x0e"s,
        "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "\xff\xff\xff\xff\xff\x01\x00"s,
        "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s}) {
    ProtoReader reader(bytes);
    while (reader.Next()) {
    }
    EXPECT_FALSE(reader.ok()) << ::testing::PrintToString(bytes);
  }
  ProtoReader packed("\x0a\x01\xff");
  std::vector<uint64_t> values;
  ASSERT_TRUE(packed.Next());
  packed.Append(values);
  EXPECT_FALSE(packed.ok());
}

}  // namespace
}  // namespace gantry::wire
