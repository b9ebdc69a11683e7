// SPDX-License-Identifier: Apache-2.0
// Every order in which a container's commands can return and its processes can end, tried one by
// one.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim/task/container_exits.h"
#include "shim/task/exit_ledger.h"

namespace gantry::shim {
namespace {

using ::testing::ElementsAre;

Exit ExitOf(pid_t pid, int code = 0) { return {.pid = pid, .status = {.code = code}}; }

TEST(ExitLedger, TellsTheOwnerOnce) {
  ExitLedger ledger;
  std::vector<int> told;
  ledger.Own(10, [&](const Exit& exit) { told.push_back(exit.status.code); });
  ledger.Ended(ExitOf(11, 1));
  ledger.Ended(ExitOf(10, 2));
  ledger.Ended(ExitOf(10, 3));
  EXPECT_THAT(told, ElementsAre(2));
  EXPECT_EQ(ledger.owned(), 0U);
}

TEST(ExitLedger, KeepsWhatEndsBeforeItIsOwned) {
  ExitLedger ledger;
  std::vector<int> told;
  {
    const auto pending = ledger.Begin();
    ledger.Ended(ExitOf(10, 7));
    ledger.Own(10, [&](const Exit& exit) { told.push_back(exit.status.code); });
  }
  EXPECT_THAT(told, ElementsAre(7));
  EXPECT_EQ(ledger.owned(), 0U);
}

TEST(ExitLedger, ForgetsOrphansWhenNoCommandIsUnderWay) {
  ExitLedger ledger;
  for (int i = 0; i < 10000; ++i) ledger.Ended(ExitOf(1000 + i));
  EXPECT_EQ(ledger.orphans(), 0U);
  {
    const auto one = ledger.Begin();
    {
      const auto two = ledger.Begin();
      ledger.Ended(ExitOf(10));
    }
    EXPECT_EQ(ledger.orphans(), 1U);
  }
  EXPECT_EQ(ledger.orphans(), 0U);
  bool told = false;
  ledger.Own(10, [&](const Exit&) { told = true; });  // a later process with this pid
  EXPECT_FALSE(told);
}

TEST(ExitLedger, AnOwnerMayOwnAnotherWhenItIsTold) {
  ExitLedger ledger;
  int told = 0;
  ledger.Own(10, [&](const Exit&) { ledger.Own(10, [&](const Exit&) { told = 2; }); });
  ledger.Ended(ExitOf(10));
  ledger.Ended(ExitOf(10));
  EXPECT_EQ(told, 2);
}

// One init process and two execs, of which each takes its steps in order, all orders of the three
// mixed. The host's part: a process may end at any time after the command that makes it began, seen
// before or after the command returns.
class Model {
 public:
  enum Step : uint8_t {
    kCreateBegins,
    kCreateReturns,
    kStartBegins,
    kStartReturns,
    kInitEnds,
    kExecBegins,  // of exec 0; the steps of exec 1 follow these
    kExecReturns,
    kExecEnds,
    kSteps = kExecBegins + 6,
  };

  explicit Model(std::array<bool, 2> exec_fails) : fails_(exec_fails) {}

  bool Allowed(int step) const {
    if (done_[static_cast<size_t>(step)]) return false;
    switch (step) {
      case kCreateBegins:
        return true;
      case kCreateReturns:
        return Done(kCreateBegins);
      case kStartBegins:
        return Done(kCreateReturns);
      case kStartReturns:
        return Done(kStartBegins) && !start_refused_;
      case kInitEnds:
        return Done(kCreateBegins);
      default:
        break;
    }
    const int exec = (step - kExecBegins) / 3;
    switch ((step - kExecBegins) % 3) {
      case 0:
        return Done(kStartReturns);
      case 1:
        return Done(kExecBegins + 3 * exec) && !refused_[static_cast<size_t>(exec)];
      default:
        return Done(kExecBegins + 3 * exec) && !fails_[static_cast<size_t>(exec)] &&
               !refused_[static_cast<size_t>(exec)];
    }
  }

  void Take(int step) {
    done_[static_cast<size_t>(step)] = true;
    switch (step) {
      case kCreateBegins:
        create_.emplace(ledger_.Begin());
        return;
      case kCreateReturns:
        log_ += "C";
        ledger_.Own(100, [this](const Exit& exit) { exits_.InitEnded(exit); });
        create_.reset();
        return;
      case kStartBegins:
        start_refused_ = exits_.init_ended();
        if (!start_refused_) exits_.InitStarting();
        return;
      case kStartReturns:
        log_ += "S";
        exits_.InitStartDone();
        return;
      case kInitEnds:
        ledger_.Ended(ExitOf(100));
        return;
      default:
        TakeExec(static_cast<size_t>(step - kExecBegins) / 3, (step - kExecBegins) % 3);
    }
  }

  // What must hold when no step is left.
  void Verify(const std::string& path) const {
    const auto at = [this](char event) { return log_.find(event); };
    const std::string what = path + " gave " + log_;
    ASSERT_EQ(std::count(log_.begin(), log_.end(), 'X'), 1) << what;
    EXPECT_LT(at('C'), at('X')) << what;
    EXPECT_EQ(at('S') == std::string::npos, start_refused_) << what;
    EXPECT_EQ(log_.back(), 'X') << what;
    for (const char* names : {"ax", "by"}) {
      const bool started = at(names[0]) != std::string::npos;
      ASSERT_EQ(std::count(log_.begin(), log_.end(), names[1]), started ? 1 : 0) << what;
      if (started) {
        EXPECT_LT(at(names[0]), at(names[1])) << what;
      }
    }
    EXPECT_EQ(ledger_.owned(), 0U) << what;
    EXPECT_EQ(ledger_.orphans(), 0U) << what;
    EXPECT_EQ(exits_.running_execs(), 0U) << what;
  }

 private:
  bool Done(int step) const { return done_[static_cast<size_t>(step)]; }

  void TakeExec(size_t exec, int step) {
    const pid_t pid = 200 + static_cast<pid_t>(exec);
    const char started = exec == 0 ? 'a' : 'b';
    const char ended = exec == 0 ? 'x' : 'y';
    if (step == 0) {
      if (exits_.init_ended()) {
        refused_[exec] = true;
        return;
      }
      exits_.ExecStarting();
      commands_[exec].emplace(ledger_.Begin());
    } else if (step == 1 && fails_[exec]) {
      commands_[exec].reset();
      exits_.ExecDone();
    } else if (step == 1) {
      log_ += started;
      ledger_.Own(pid, [this, ended](const Exit&) {
        log_ += ended;
        exits_.ExecDone();
      });
      commands_[exec].reset();
    } else {
      ledger_.Ended(ExitOf(pid));
    }
  }

  const std::array<bool, 2> fails_;
  std::array<bool, kSteps> done_{};
  std::array<bool, 2> refused_{};
  bool start_refused_ = false;
  std::string log_;
  ExitLedger ledger_;
  ContainerExits exits_{
      {.kill_leftovers = [] {}, .announce_init = [this](const Exit&) { log_ += "X"; }}};
  std::optional<ExitLedger::Pending> create_;
  std::array<std::optional<ExitLedger::Pending>, 2> commands_;
};

// Runs the path again from the start, since a model cannot be copied, then tries each step that may
// follow.
size_t Explore(std::array<bool, 2> fails, std::string& path) {
  Model model(fails);
  for (const char step : path) model.Take(step - 'A');
  size_t leaves = 0;
  for (int step = 0; step < Model::kSteps; ++step) {
    if (!model.Allowed(step)) continue;
    path += static_cast<char>('A' + step);
    leaves += Explore(fails, path);
    path.pop_back();
  }
  if (leaves > 0) return leaves;
  model.Verify(path);
  return 1;
}

TEST(ContainerExits, EveryOrderOfCommandsAndExitsIsAnnouncedInOrder) {
  for (const bool first : {false, true}) {
    for (const bool second : {false, true}) {
      std::string path;
      EXPECT_GT(Explore({first, second}, path), 20U);
      if (HasFailure()) return;
    }
  }
}

TEST(ContainerExits, LeftoversAreKilledWhenTheInitProcessEndsNotWhenItIsAnnounced) {
  std::string log;
  ContainerExits exits(
      {.kill_leftovers = [&] { log += "k"; }, .announce_init = [&](const Exit&) { log += "X"; }});
  exits.ExecStarting();
  exits.InitEnded(ExitOf(1));
  EXPECT_EQ(log, "k");
  exits.InitEnded(ExitOf(1));
  exits.ExecDone();
  EXPECT_EQ(log, "kX");
}

}  // namespace
}  // namespace gantry::shim
