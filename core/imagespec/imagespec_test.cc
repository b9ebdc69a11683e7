// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/imagespec/documents.h"
#include "core/imagespec/gc_labels.h"
#include "core/imagespec/image_config.h"
#include "core/imagespec/media_types.h"

namespace gantry::imagespec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Pair;
using testing::StatusIs;

std::string DigestOf(char c) { return "sha256:" + std::string(64, c); }

Child MakeChild(std::string_view media_type, char c) {
  return {.descriptor = {.media_type = std::string(media_type), .digest = DigestOf(c), .size = 1}};
}

TEST(DocumentsTest, ManifestNamesItsConfigAndLayersInOrder) {
  const std::string text = R"({"schemaVersion":2,"config":{"mediaType":"c","digest":")" +
                           DigestOf('a') + R"(","size":3},"layers":[{"mediaType":"l","digest":")" +
                           DigestOf('b') + R"(","size":4,"annotations":{"k":"v"}}]})";
  const absl::StatusOr<std::vector<Child>> children = ParseChildren(kOciManifest, text);
  ASSERT_THAT(children, IsOk());
  ASSERT_EQ(children->size(), 2U);
  EXPECT_EQ((*children)[0].descriptor.digest, DigestOf('a'));
  EXPECT_EQ((*children)[1].descriptor.size, 4);
  EXPECT_THAT((*children)[1].descriptor.annotations, ElementsAre(Pair("k", "v")));
}

TEST(DocumentsTest, IndexKeepsPlatforms) {
  const std::string text = R"({"manifests":[{"mediaType":"m","digest":")" + DigestOf('a') +
                           R"(","size":3,"platform":{"os":"linux","architecture":"arm64"}}]})";
  const absl::StatusOr<std::vector<Child>> children = ParseIndex(text);
  ASSERT_THAT(children, IsOk());
  ASSERT_EQ(children->size(), 1U);
  EXPECT_EQ(FormatPlatform(children->front().platform.value_or(Platform{})), "linux/arm64");
  EXPECT_THAT(ParseChild(ToJson(children->front())), IsOk());
}

// CVE-2021-41190: one document, two meanings.
TEST(DocumentsTest, DocumentThatIsManifestAndIndexIsRefused) {
  const std::string text = R"({"config":{"digest":")" + DigestOf('a') +
                           R"("},"manifests":[{"digest":")" + DigestOf('b') + R"("}]})";
  EXPECT_THAT(ParseManifest(text), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseIndex(text), StatusIs(absl::StatusCode::kInvalidArgument));
}

// CVE-2023-25153: documents are bounded.
TEST(DocumentsTest, HugeDocumentIsRefused) {
  const std::string text = "\"" + std::string(kMaxDocumentBytes, 'x') + "\"";
  EXPECT_THAT(ParseIndex(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit")));
  EXPECT_THAT(ParseImageConfig(text),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit")));
}

TEST(DocumentsTest, BadDigestOrSizeIsRefused) {
  EXPECT_THAT(ParseManifest(R"({"config":{"digest":"sha256:../../x","size":1}})"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseManifest(R"({"config":{"digest":")" + DigestOf('a') + R"(","size":-1}})"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(GcLabelsTest, KeysCountChildrenOfAKind) {
  const std::vector<Child> children = {
      MakeChild(kOciConfig, 'a'), MakeChild("application/vnd.oci.image.layer.v1.tar", 'b'),
      MakeChild(kDockerLayerGzip, 'c'), MakeChild(kOciManifest, 'd'), MakeChild(kOciIndex, 'e')};
  EXPECT_THAT(ChildLabels(children),
              ElementsAre(Pair("containerd.io/gc.ref.content.config", DigestOf('a')),
                          Pair("containerd.io/gc.ref.content.l.0", DigestOf('b')),
                          Pair("containerd.io/gc.ref.content.l.1", DigestOf('c')),
                          Pair("containerd.io/gc.ref.content.m.0", DigestOf('d')),
                          Pair("containerd.io/gc.ref.content.0", DigestOf('e'))));
  EXPECT_THAT(ChildLabels({children[1], children[0]}, LayerRefs::kDrop),
              ElementsAre(Pair("containerd.io/gc.ref.content.config", DigestOf('a'))));
}

TEST(ImageConfigTest, ChainIdsAreThoseOfTheSpecification) {
  const absl::StatusOr<ImageConfig> image = ParseImageConfig(
      R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[")" +
      DigestOf('a') + R"(",")" + DigestOf('b') + R"("]},"config":{"Cmd":["sh"],"User":"u"}})");
  ASSERT_THAT(image, IsOk());
  EXPECT_THAT(image->cmd, ElementsAre("sh"));
  const std::vector<Digest> chain = ChainIds(image->diff_ids);
  ASSERT_EQ(chain.size(), 2U);
  EXPECT_EQ(chain[0].str(), DigestOf('a'));
  EXPECT_EQ(chain[1], Digest::Of(DigestOf('a') + " " + DigestOf('b')));
}

// CVE-2026-53488: what an image must not say.
TEST(ImageConfigTest, LabelsThatContainerdActsOnAreReserved) {
  EXPECT_TRUE(IsReservedLabel("containerd.io/restart.loguri"));
  EXPECT_TRUE(IsReservedLabel("io.cri-containerd.kind"));
  EXPECT_FALSE(IsReservedLabel("org.opencontainers.image.title"));
}

}  // namespace
}  // namespace gantry::imagespec
