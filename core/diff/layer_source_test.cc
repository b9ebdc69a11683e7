// SPDX-License-Identifier: Apache-2.0
#include "core/diff/layer_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <thread>

#include "core/base/testing/matchers.h"
#include "core/compression/layer_media_type.h"
#include "core/compression/testing/streams.h"
#include "core/diff/process_stream.h"

namespace gantry::diff {
namespace {

using ::gantry::testing::Compressed;
using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::PieceReader;
using ::gantry::testing::ReadToEnd;
using ::gantry::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kEncrypted[] = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";

config::StreamProcessor Shell(std::string accepts, std::string returns, std::string script) {
  return {.accepts = {std::move(accepts)},
          .returns = std::move(returns),
          .path = "/bin/sh",
          .args = {"-c", std::move(script)},
          .env = {}};
}

std::unique_ptr<Reader> Bytes(std::string text) {
  return std::make_unique<PieceReader>(std::move(text), 1000);
}

absl::StatusOr<std::string> Process(std::string_view media_type, const StreamProcessors& processors,
                                    std::string input,
                                    std::map<std::string, std::string, std::less<>> payloads = {},
                                    const Context& ctx = {}) {
  ASSIGN_OR_RETURN(const ProcessorPlan plan, PlanProcessors(media_type, processors));
  ASSIGN_OR_RETURN(const std::unique_ptr<Reader> stream,
                   OpenLayer(ctx, plan, processors, payloads, Bytes(std::move(input))));
  return ReadToEnd(*stream);
}

TEST(PlanProcessorsTest, LayersNeedDecompressionAlone) {
  for (const std::string_view type :
       {compression::kOciLayer, compression::kOciLayerGzip, compression::kOciLayerZstd,
        std::string_view("application/vnd.docker.image.rootfs.diff.tar.gzip")}) {
    const auto plan = PlanProcessors(type, {});
    ASSERT_THAT(plan, IsOk());
    EXPECT_TRUE(plan->steps.empty());
    EXPECT_TRUE(plan->decompress);
  }
}

TEST(PlanProcessorsTest, NoWayIsUnimplemented) {
  for (const char* type : {"", "application/json", kEncrypted}) {
    EXPECT_THAT(PlanProcessors(type, {}), StatusIs(absl::StatusCode::kUnimplemented)) << type;
  }
  const StreamProcessors dead_end = {{"p", Shell(kEncrypted, "application/json", "")}};
  EXPECT_THAT(PlanProcessors(kEncrypted, dead_end), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST(PlanProcessorsTest, ConfiguredOnesComeFirstAndTheLastOfThemWins) {
  const std::string gzip(compression::kOciLayerGzip);
  const StreamProcessors processors = {{"a", Shell(gzip, "other", "")},
                                       {"b", Shell(gzip, std::string(compression::kOciLayer), "")}};
  const auto plan = PlanProcessors(gzip, processors);
  ASSERT_THAT(plan, IsOk());
  ASSERT_EQ(plan->steps.size(), 1u);
  EXPECT_EQ(plan->steps[0].id, "b");
  EXPECT_FALSE(plan->decompress);
}

TEST(PlanProcessorsTest, ACircleIsRefused) {
  const StreamProcessors circle = {{"a", Shell("x", "y", "")}, {"b", Shell("y", "x", "")}};
  EXPECT_THAT(PlanProcessors("x", circle), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(OpenLayerTest, LyingMediaTypesAreSeenThrough) {
  const std::string text = "a tar archive";
  const std::string gzip = Compressed(compression::Algorithm::kGzip, text).value_or("");
  const std::string zstd = Compressed(compression::Algorithm::kZstd, text).value_or("");
  EXPECT_THAT(Process(compression::kOciLayer, {}, gzip), IsOkAndHolds(text));
  EXPECT_THAT(Process(compression::kOciLayerGzip, {}, zstd), IsOkAndHolds(text));
  EXPECT_THAT(Process("application/vnd.docker.image.rootfs.diff.tar", {}, gzip),
              IsOkAndHolds(text));
  EXPECT_THAT(Process(compression::kOciLayerGzip, {}, text), IsOkAndHolds(text));
}

TEST(ProcessStreamTest, MediaTypeEnvironmentPayloadAndBytes) {
  StreamProcessors processors = {
      {"id", Shell(kEncrypted, std::string(compression::kOciLayer),
                   R"(printf '%s|%s|' "$STREAM_PROCESSOR_MEDIATYPE" "$EXTRA"; cat <&3; cat)")}};
  processors["id"].env = {"EXTRA=more"};
  const std::string input = gantry::testing::SampleText(700'000);
  EXPECT_EQ(Process(kEncrypted, processors, input, {{"id", "key"}, {"other", "no"}}).value_or(""),
            std::string(kEncrypted) + "|more|key" + input);
}

TEST(ProcessStreamTest, WithoutPayloadThereIsNoThirdFd) {
  const StreamProcessors processors = {
      {"id", Shell(kEncrypted, std::string(compression::kOciLayer),
                   "if [ -e /proc/self/fd/3 ]; then echo yes; else echo no; fi; cat >/dev/null")}};
  EXPECT_THAT(Process(kEncrypted, processors, "x"), IsOkAndHolds(std::string("no\n")));
}

TEST(ProcessStreamTest, ProgramsInARowAndDecompressionBehindThem) {
  const std::string text = gantry::testing::SampleText(300'000);
  const std::string gzip = Compressed(compression::Algorithm::kGzip, text).value_or("");
  std::string masked = gzip;
  for (char& c : masked) c = static_cast<char>(c == 'a' ? 'b' : c == 'b' ? 'a' : c);
  const StreamProcessors processors = {
      {"1", Shell("x", "y", "tr ab ba")},
      {"2", Shell("y", std::string(compression::kOciLayerGzip), "cat")}};
  EXPECT_TRUE(Process("x", processors, masked).value_or("") == text);
}

TEST(ProcessStreamTest, FailureComesWithItsTextThoughTheOutputWasComplete) {
  const StreamProcessors processors = {{"id", Shell(kEncrypted, std::string(compression::kOciLayer),
                                                    "cat; echo 'the key is missing' >&2; exit 3")}};
  EXPECT_THAT(Process(kEncrypted, processors, "x"),
              StatusIs(absl::StatusCode::kUnknown,
                       AllOf(HasSubstr("stream processor id"), HasSubstr("exit status 3"),
                             HasSubstr("the key is missing"))));
}

TEST(ProcessStreamTest, TheFirstFailureOfARowIsTold) {
  const StreamProcessors processors = {
      {"1", Shell("x", "y", "echo first >&2; exit 1")},
      {"2", Shell("y", std::string(compression::kOciLayer), "cat; echo second >&2; exit 2")}};
  EXPECT_THAT(Process("x", processors, "x"),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("first")));
}

TEST(ProcessStreamTest, AKilledProgramAndAMissingOneAreErrors) {
  EXPECT_THAT(
      Process("x", {{"id", Shell("x", std::string(compression::kOciLayer), "kill -9 $$")}}, "x"),
      StatusIs(absl::StatusCode::kUnknown, HasSubstr("signal 9")));
  StreamProcessors missing = {{"id", Shell("x", std::string(compression::kOciLayer), "")}};
  missing["id"].path = "/no/such/program";
  EXPECT_THAT(Process("x", missing, "x"), StatusIs(absl::StatusCode::kUnknown));
}

TEST(ProcessStreamTest, AProgramMayLeaveInputUnread) {
  EXPECT_THAT(Process("x", {{"id", Shell("x", std::string(compression::kOciLayer), "echo done")}},
                      std::string(5'000'000, 'x')),
              IsOkAndHolds(std::string("done\n")));
}

TEST(ProcessStreamTest, AnErrorOfTheInputIsNotTakenForItsEnd) {
  const ProcessSpec spec = {.id = "id", .path = "cat"};
  const auto stream =
      ProcessStream::Start({}, spec, std::make_unique<PieceReader>("half", 100, DataLoss("cut")));
  ASSERT_THAT(stream, IsOk());
  EXPECT_THAT(ReadToEnd(**stream), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ProcessStreamTest, CancellationEndsTheWaitAndTheProgram) {
  std::stop_source stop;
  std::jthread canceller([&] { stop.request_stop(); });
  EXPECT_THAT(
      Process("x", {{"id", Shell("x", std::string(compression::kOciLayer), "exec sleep 1000")}},
              "x", {}, Context{.stop = stop.get_token()}),
      StatusIs(absl::StatusCode::kCancelled));
}

TEST(ProcessStreamTest, ClosingEarlyLeavesNothingBehind) {
  const ProcessSpec spec = {.id = "id", .path = "/bin/sh", .arguments = {"-c", "yes"}};
  auto stream = ProcessStream::Start({}, spec, Bytes(std::string(1'000'000, 'x')));
  ASSERT_THAT(stream, IsOk());
  std::string buffer(100, '\0');
  ASSERT_THAT((*stream)->Read(buffer), IsOk());
  stream->reset();
  // No child is left to wait for.
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(ProcessStreamTest, LongErrorTextsAreCut) {
  const auto result =
      Process("x",
              {{"id", Shell("x", std::string(compression::kOciLayer),
                            "cat >/dev/null; head -c 100000 /dev/zero | tr '\\0' e >&2; exit 1")}},
              "x");
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnknown));
  EXPECT_LT(result.status().message().size(), 5000u);
}

}  // namespace
}  // namespace gantry::diff
