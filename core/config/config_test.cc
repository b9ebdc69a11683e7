// SPDX-License-Identifier: Apache-2.0
#include "core/config/config.h"

#include <fstream>
#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/config/toml.h"
#include "gtest/gtest.h"

namespace gantry::config {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class ConfigTest : public ::testing::Test {
 protected:
  std::filesystem::path Write(const std::string& name, const std::string& text) {
    const std::filesystem::path file = dir_.path() / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return file;
  }

  absl::StatusOr<Config> Load(const std::string& text) {
    return Config::Load(Write("config.toml", text));
  }

  testing::TempDir dir_;
};

std::vector<std::string> Texts(const Config& config, const std::set<std::string>& plugins = {}) {
  std::vector<std::string> texts;
  for (const Warning& warning : config.Warnings(plugins)) {
    texts.push_back(fmt::format("{}:{}:{} {}", warning.key, warning.position.line,
                                warning.position.column, warning.text));
  }
  return texts;
}

TEST_F(ConfigTest, DefaultsAreValidAndNameTheDropInFolder) {
  const auto config = Config::Default();
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->Validate(), IsOk());
  EXPECT_EQ(config->root, "/var/lib/gantry");
  EXPECT_EQ(config->state, "/run/gantry");
  EXPECT_THAT(config->imports, ElementsAre("/etc/gantry/conf.d/*.toml"));
  EXPECT_EQ(config->Timeout("io.containerd.timeout.shim.load"), absl::Seconds(5));
  EXPECT_EQ(config->Timeout("io.containerd.timeout.nobody.knows"), absl::Seconds(1));
  EXPECT_EQ(config->stream_processors.size(), 2u);
}

TEST_F(ConfigTest, TopLevelKeysAreTyped) {
  auto config = Load(R"(version = 4
root = '/r'
state = '/s'
temp = '/t'
disabled_plugins = ['io.containerd.grpc.v1.cri']
required_plugins = ['io.containerd.content.v1.content']
oom_score = -999
[debug]
level = 'debug'
format = 'json'
[cgroup]
path = '/gantry'
[timeouts]
'io.containerd.timeout.shim.load' = '7s'
'mine' = '1m'
[proxy_plugins.stargz]
type = 'snapshot'
address = '/run/stargz.sock'
capabilities = ['rebase']
[proxy_plugins.stargz.exports]
root = '/x'
[stream_processors.'p']
accepts = ['a/b']
returns = 'c'
path = 'prog'
)");
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->Validate(), IsOk());
  EXPECT_EQ(config->temp, "/t");
  EXPECT_EQ(config->oom_score, -999);
  EXPECT_EQ(config->debug.format, "json");
  EXPECT_EQ(config->cgroup_path, "/gantry");
  EXPECT_EQ(config->Timeout("io.containerd.timeout.shim.load"), absl::Seconds(7));
  EXPECT_EQ(config->Timeout("io.containerd.timeout.shim.cleanup"), absl::Seconds(5));
  EXPECT_EQ(config->Timeout("mine"), absl::Minutes(1));
  EXPECT_EQ(config->proxy_plugins["stargz"].type, "io.containerd.snapshotter.v1");
  EXPECT_EQ(config->proxy_plugins["stargz"].exports["root"], "/x");
  EXPECT_THAT(config->stream_processors["p"].accepts, ElementsAre("a/b"));
  EXPECT_EQ(config->stream_processors.size(), 3u);
  EXPECT_TRUE(Texts(*config).empty());
}

TEST_F(ConfigTest, WrongTypesAtTheTopLevelAreFatalAndNameThePlace) {
  const auto refused = [](const std::string& text) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text));
  };
  EXPECT_THAT(Load("version = 4\nroot = 7\n"), refused("config.toml:2:1"));
  EXPECT_THAT(Load("version = 4\noom_score = 'x'\n"), refused("oom_score"));
  EXPECT_THAT(Load("version = 4\nplugins = 7\n"), refused("plugins"));
  EXPECT_THAT(Load("version = 4\n[plugins]\na = 7\n"), refused("plugins.a"));
  EXPECT_THAT(Load("version = 4\n[timeouts]\nx = 'soon'\n"), refused("no duration"));
  EXPECT_THAT(Load("version = 4\n[debug]\nlevel = 1\n"), refused("debug.level"));
  EXPECT_THAT(Load("version = 4\nroot = \n"), refused("config.toml:2"));
}

TEST_F(ConfigTest, ValidateRefusesWhatCannotWork) {
  const auto validate = [&](const std::string& text) {
    const auto config = Load("version = 4\n" + text);
    return config.ok() ? config->Validate() : config.status();
  };
  const auto refused = [](const std::string& text) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text));
  };
  EXPECT_THAT(validate("root = '/a'\nstate = '/a/'\n"), refused("must differ"));
  EXPECT_THAT(validate("root = 'a'\n"), refused("no absolute path"));
  EXPECT_THAT(validate("disabled_plugins = ['cri']\n"), refused("\"cri\" is no plugin"));
  EXPECT_THAT(validate("required_plugins = ['cri']\n"), refused("\"cri\" is no plugin"));
  EXPECT_THAT(validate("[debug]\nlevel = 'loud'\n"), refused("loud"));
  EXPECT_THAT(validate("[debug]\nformat = 'xml'\n"), refused("xml"));
  EXPECT_THAT(validate("oom_score = 2000\n"), refused("2000"));
}

TEST_F(ConfigTest, UnknownKeysAreReportedWithTheirPlace) {
  auto config = Load(R"(version = 4
rooot = '/x'
[debug]
colour = true
[plugins.'a.known']
used = 1
unused = 2
[plugins.'a.stranger']
x = 1
)");
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->Plugin("a.known").Get("used", 0), IsOkAndHolds(1));
  EXPECT_THAT(Texts(*config, {"a.known"}),
              UnorderedElementsAre("rooot:2:1 unknown key", "debug.colour:4:1 unknown key",
                                   "a.known.unused:7:1 unknown key",
                                   "a.stranger:8:10 no plugin reads this section"));
}

TEST_F(ConfigTest, AMissingMainFileIsNotFound) {
  EXPECT_THAT(Config::Load(dir_.path() / "none.toml"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ConfigTest, ImportsAreReadBreadthFirstOnceEachAndConverted) {
  Write("conf.d/20-b.toml", "version = 4\noom_score = 20\nimports = ['../config.toml']\n");
  Write("conf.d/10-a.toml", "version = 4\noom_score = 10\n[debug]\nlevel = 'warn'\nimports = []\n");
  Write("conf.d/ignored.txt", "nonsense");
  Write("extra.toml",
        "version = 2\nimports = ['deeper.toml']\n[grpc]\naddress = '/from-v2.sock'\n");
  Write("deeper.toml", "version = 4\nstate = '/deep'\n");
  auto config = Load("version = 4\nimports = ['conf.d/*.toml', 'extra.toml', 'none/*.toml']\n");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->oom_score, 20);
  EXPECT_EQ(config->debug.level, "warn");
  EXPECT_EQ(config->state, "/deep");
  EXPECT_THAT(config->Plugin("io.containerd.server.v1.grpc").Get<std::string>("address", ""),
              IsOkAndHolds("/from-v2.sock"));
}

TEST_F(ConfigTest, AMissingLiteralImportIsFatal) {
  EXPECT_THAT(Load("version = 4\nimports = ['none.toml']\n"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("none.toml")));
}

TEST_F(ConfigTest, ANewerDropInIsNamed) {
  Write("new.toml", "version = 4\n");
  const auto config = Load("version = 3\nimports = ['new.toml']\n");
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(Texts(*config), ElementsAre(HasSubstr("version 4, the main file has version 3")));
}

TEST_F(ConfigTest, WithoutImportsNoDropInIsRead) {
  Write("conf.d/10-a.toml", "version = 4\noom_score = 10\n");
  const auto config = Load("version = 4\n");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->oom_score, 0);
  EXPECT_TRUE(config->imports.empty());
}

TEST_F(ConfigTest, OlderVersionsDumpToTheSameText) {
  const auto dump = [&](const std::string& text) {
    auto config = Load(text);
    EXPECT_THAT(config, IsOk());
    Section& grpc = config->Plugin("io.containerd.server.v1.grpc");
    EXPECT_THAT(grpc.Get<std::string>("address", "/run/gantry/gantry.sock"), IsOk());
    EXPECT_THAT(grpc.Get("uid", 0), IsOk());
    return RenderToml(config->Effective({"io.containerd.server.v1.grpc"}));
  };
  const std::string current = dump(R"(version = 4
root = '/r'
[plugins.'io.containerd.server.v1.grpc']
address = '/x.sock'
[plugins.'io.containerd.monitor.container.v1.restart']
interval = '5s'
)");
  const std::string old = R"(
root = '/r'
[grpc]
address = '/x.sock'
[plugins.'io.containerd.internal.v1.restart']
interval = '5s'
)";
  EXPECT_EQ(dump("version = 3" + old), current);
  EXPECT_EQ(dump("version = 2" + old), current);
  EXPECT_EQ(dump(current), current);
  EXPECT_THAT(current, HasSubstr("uid = 0"));
}

}  // namespace
}  // namespace gantry::config
