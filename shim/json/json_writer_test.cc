// SPDX-License-Identifier: Apache-2.0
#include "shim/json/json_writer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace gantry::shim {
namespace {

TEST(JsonWriterTest, ObjectsHoldWhatWasPut) {
  std::string out;
  {
    JsonObjectWriter json(out);
    json.String("s", "v");
    json.Int("n", -5);
    {
      JsonObjectWriter inner = json.Object("o");
      inner.Bool("t", true);
      inner.Bool("f", false);
    }
    json.Object("empty");
  }
  EXPECT_EQ(out, R"({"s":"v","n":-5,"o":{"t":true,"f":false},"empty":{}})");
}

TEST(JsonWriterTest, AnEmptyObjectIsOne) {
  std::string out;
  { JsonObjectWriter json(out); }
  EXPECT_EQ(out, "{}");
}

TEST(JsonWriterTest, EveryByteOfTextSurvives) {
  std::string text = "caf\u00e9 \U0001F600 /";
  for (char byte = 0; byte < 0x7F; ++byte) text += byte;
  std::string out;
  { JsonObjectWriter(out).String(text, text); }
  EXPECT_EQ(nlohmann::json::parse(out), (nlohmann::json{{text, text}}));
  EXPECT_THAT(out, ::testing::HasSubstr(R"(\u0000\u0001)"));
  EXPECT_THAT(out, ::testing::HasSubstr(R"(\u001f)"));
  EXPECT_THAT(out, ::testing::HasSubstr(R"(\b\t\n\u000b\f\r)"));
  EXPECT_THAT(out, ::testing::HasSubstr(R"(\"#)"));
}

}  // namespace
}  // namespace gantry::shim
