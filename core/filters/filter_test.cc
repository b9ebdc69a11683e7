// SPDX-License-Identifier: Apache-2.0
#include "core/filters/filter.h"

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "core/base/testing/matchers.h"
#include "core/filters/quote.h"
#include "gtest/gtest.h"

namespace gantry::filters {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Object {
  std::string name;
  std::string parent;
  std::map<std::string, std::string, std::less<>> labels = {};

  std::optional<std::string> Field(FieldPath path) const {
    if (path[0] == "name") return NonEmpty(name);
    if (path[0] == "parent") return parent;  // always present
    if (path[0] == "labels") return Lookup(labels, path);
    return std::nullopt;
  }
};

const Object kFirst{.name = "first", .parent = "", .labels = {{"a.b/c", "x"}, {"color", "red"}}};
const Object kSecond{.name = "", .parent = "first", .labels = {{"a.b", "x"}, {"color", "blue"}}};

// Which of the two objects match: "", "1", "2" or "12"; "!" for a filter that is refused.
std::string SelectsAny(std::vector<std::string> filters) {
  const absl::StatusOr<Filter> filter = Parse(filters);
  if (!filter.ok()) return "!";
  std::string selected;
  if (filter->Matches([](FieldPath path) { return kFirst.Field(path); })) selected += '1';
  if (filter->Matches([](FieldPath path) { return kSecond.Field(path); })) selected += '2';
  return selected;
}
std::string Selects(const std::string& filter) {
  return SelectsAny(std::vector<std::string>{filter});
}

std::string ValueOf(const std::string& quoted) {
  const std::optional<std::string> text = Unquote(quoted);
  return text ? *text : "malformed";
}

TEST(FilterTest, AnEmptyListAndAnEmptyStringMatchEverything) {
  EXPECT_EQ(SelectsAny({}), "12");
  EXPECT_EQ(Selects(""), "12");
  EXPECT_EQ(SelectsAny({"name==nope", ""}), "12");
  EXPECT_EQ(SelectsAny({"", "a=b"}), "!");
  EXPECT_TRUE(Filter().MatchesAll());
}

TEST(FilterTest, StringsAreAlternativesAndCommasJoin) {
  EXPECT_EQ(SelectsAny({"name==first", "parent==first"}), "12");
  EXPECT_EQ(Selects("name==first,labels.color==red"), "1");
  EXPECT_EQ(Selects("name==first,labels.color==blue"), "");
  EXPECT_EQ(Selects("name==first, labels.color==red"), "1");
  EXPECT_EQ(Selects(" name == first ,\tlabels . color\n== red "), "1");
}

TEST(FilterTest, LabelKeysMayBeQuotedOrDotted) {
  EXPECT_EQ(Selects(R"(labels."a.b/c"==x)"), "1");
  EXPECT_EQ(Selects("labels.a.b==x"), "2");
  EXPECT_EQ(Selects(R"(labels."a.b"==x)"), "2");
  EXPECT_EQ(Selects("labels.color"), "12");
  EXPECT_EQ(Selects("labels"), "");
}

TEST(FilterTest, AbsentFieldsAreEmptyForNotEqualAlone) {
  EXPECT_EQ(Selects("name!=x"), "12");
  EXPECT_EQ(Selects("name==\"\""), "");
  EXPECT_EQ(Selects("name!=\"\""), "1");
  EXPECT_EQ(Selects("name"), "1");
  EXPECT_EQ(Selects("parent==\"\""), "1");
  EXPECT_EQ(Selects("parent"), "12");
}

TEST(FilterTest, UnknownFieldsMatchNothing) {
  EXPECT_EQ(Selects("nope"), "");
  EXPECT_EQ(Selects("nope==x"), "");
  EXPECT_EQ(Selects("nope!=x"), "12");
}

TEST(FilterTest, ExpressionsAreUnanchoredAndTakeEveryQuote) {
  EXPECT_EQ(Selects("labels.color~=e"), "12");
  EXPECT_EQ(Selects("labels.color~=/^r/"), "1");
  EXPECT_EQ(Selects("labels.color~=|^b|"), "2");
  EXPECT_EQ(Selects(R"(labels.color~="u.$")"), "2");
  EXPECT_EQ(Selects("labels.color~=^[rb]"), "12");
  EXPECT_EQ(Selects("labels.color~=RED"), "");
  EXPECT_EQ(Selects("labels.color~=(?i)RED"), "1");
  EXPECT_EQ(Selects("nope~=^$"), "12");
  EXPECT_EQ(Selects("labels.color==/x/"), "!");
  EXPECT_EQ(Selects("labels.color!=|x|"), "!");
  EXPECT_EQ(Selects("/labels/==x"), "!");
}

TEST(FilterTest, AnInvalidExpressionMatchesNothing) {
  EXPECT_EQ(Selects("name~=/(/"), "");
  EXPECT_EQ(SelectsAny({"name~=/[/", "name==first"}), "1");
  EXPECT_EQ(Selects("name~=(?=x)"), "");                          // no lookahead in RE2
  EXPECT_EQ(Selects("name~=/(((a{100}){100}){100}){100}/"), "");  // too large a program
}

TEST(FilterTest, ParseErrors) {
  for (const std::string& bad :
       {std::string("a=b"),          std::string("a===b"),       std::string("a!b"),
        std::string("a=="),          std::string("a,"),          std::string("a."),
        std::string(".a"),           std::string("a==b,"),       std::string("a==\"x"),
        std::string("a==\"x\ny\""),  std::string("a==x\0", 5),   std::string("a\0==b", 6),
        std::string("a==\"\0\"", 6), std::string("a==b c"),      std::string("==b"),
        std::string(R"(a=="\q")"),   std::string("a==,b"),       std::string("a~~b"),
        std::string("a b"),          std::string("a-b==c"),      std::string("a==\xff"),
        std::string("a==\"\\"),      std::string("a==\"\\\n\""), std::string(",")}) {
    const absl::StatusOr<Filter> filter = Parse(std::vector<std::string>{bad});
    EXPECT_THAT(filter,
                StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("filters: parse error: [")))
        << bad;
  }
}

TEST(FilterTest, ErrorsMarkThePlace) {
  EXPECT_THAT(Parse(std::vector<std::string>{"foo=bar"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       R"(filters: parse error: [foo >|=|< bar]: unsupported operator "=")"));
  EXPECT_THAT(Parse(std::vector<std::string>{"foo,"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "filters: parse error: [foo,]: expected field or quoted"));
  EXPECT_THAT(Parse(std::vector<std::string>{"foo==\"x"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "filters: parse error: [foo== >|\"|< x]: quoted literal not terminated"));
}

TEST(FilterTest, ErrorsOfLongFiltersStayShort) {
  const std::string bad = std::string(20'000, 'a') + "=" + std::string(20'000, 'b');
  const absl::StatusOr<Filter> filter = Parse(std::vector<std::string>{bad});
  ASSERT_THAT(filter, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(">|=|<")));
  EXPECT_LT(filter.status().message().size(), 400u);
}

TEST(FilterTest, SizesAreBounded) {
  const auto refused = AllOf(StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too")));
  EXPECT_THAT(Parse(std::vector<std::string>{std::string(kMaxFilterBytes + 1, 'a')}), refused);
  EXPECT_THAT(Parse(std::vector<std::string>(17, std::string(kMaxFilterBytes, 'a'))), refused);
  EXPECT_THAT(Parse(std::vector<std::string>(kMaxExpressions + 1, "a~=b")), refused);
  EXPECT_THAT(Parse(std::vector<std::string>(kMaxExpressions, "a~=b")), IsOk());
  EXPECT_THAT(Parse(std::vector<std::string>(10'000, "a==b")), IsOk());
}

TEST(FilterTest, BareValuesAreGraphicRunes) {
  const Object object{.name = "é€😀-{x}'\"/|.", .parent = ""};
  const auto matches = [&](std::string filter) {
    const auto parsed = Parse(std::vector<std::string>{std::move(filter)});
    return parsed.ok() && parsed->Matches([&](FieldPath path) { return object.Field(path); });
  };
  EXPECT_TRUE(matches("name==é€😀-{x}'\"/|."));
  EXPECT_FALSE(matches("name==\u200b"));               // a format character starts no match
  EXPECT_TRUE(matches("name==é€😀-{x}'\"/|.\u3000"));  // an ideographic space ends it
}

TEST(FilterTest, EscapesDecodeToTheirEdges) {
  EXPECT_EQ(ValueOf(R"("\a\b\f\n\r\t\v\\")"), "\a\b\f\n\r\t\v\\");
  EXPECT_EQ(ValueOf(R"("\"")"), "\"");
  EXPECT_EQ(ValueOf(R"(/\//)"), "/");
  EXPECT_EQ(ValueOf(R"(|\||)"), "|");
  EXPECT_EQ(ValueOf(R"("\101\060\377\000")"), std::string("A0\xff\0", 4));
  EXPECT_EQ(ValueOf(R"("\x41\x7e\xFF")"), "A~\xff");
  EXPECT_EQ(ValueOf(R"("\u00e9\u20AC")"), "é€");
  EXPECT_EQ(ValueOf(R"("\U0001F600")"), "😀");
  EXPECT_EQ(ValueOf(R"("\U0010FFFF")"), "\xF4\x8F\xBF\xBF");
  EXPECT_EQ(ValueOf(R"("\ud800")"), "\xEF\xBF\xBD");
  EXPECT_EQ(ValueOf("\"'\""), "'");
  for (const char* bad : {R"("\400")", R"("\U00110000")", R"("\x4")", R"("\u12")", R"("\08")",
                          R"("\/")", R"("\')", R"("\q")", R"("\xg0")", R"("\UFFFFFFFF")"}) {
    EXPECT_EQ(ValueOf(bad), "malformed") << bad;
  }
}

TEST(FilterTest, ACatastrophicExpressionEndsAtOnce) {
  const Object object{.name = std::string(20'000, 'a'), .parent = ""};
  const auto matches = [&](std::string filter) {
    const auto parsed = Parse(std::vector<std::string>{std::move(filter)});
    return parsed.ok() && parsed->Matches([&](FieldPath path) { return object.Field(path); });
  };
  const absl::Time start = absl::Now();
  EXPECT_TRUE(matches("name~=/^(a+)+$/"));
  EXPECT_FALSE(matches("name~=/^(a+)+b$/"));
  EXPECT_FALSE(matches("name~=/(a|a)*b/"));
  EXPECT_LT(absl::Now() - start, absl::Milliseconds(500));
}

TEST(FilterTest, RandomBytesNeverCrash) {
  std::mt19937 random(20240607);
  const std::string alphabet = std::string("ab.,=!~\"/|\\xuU07 \n\t_'(*[é\xff") + '\0';
  for (int round = 0; round < 50'000; ++round) {
    std::string input(random() % 24, ' ');
    const bool any_byte = round % 4 == 0;
    for (char& c : input) {
      c = any_byte ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
    }
    const auto filter = Parse(std::vector<std::string>{input});
    if (filter.ok()) {
      filter->Matches([](FieldPath path) { return kFirst.Field(path); });
    } else {
      EXPECT_THAT(filter, StatusIs(absl::StatusCode::kInvalidArgument));
    }
  }
}

}  // namespace
}  // namespace gantry::filters
