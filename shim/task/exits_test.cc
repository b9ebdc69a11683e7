// SPDX-License-Identifier: Apache-2.0
// Every order in which a container's commands can return and its processes can end, tried one by
// one.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
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

// Processes that a test begins and ends. One that has ended is there until it is reaped.
class FakeHost {
 public:
  ExitLedger& ledger() { return ledger_; }

  void Begins(pid_t pid) { began_[pid] = ++now_; }
  void Ends(pid_t pid, int code = 0) {
    ended_.emplace(pid, ExitOf(pid, code));
    Reap();
  }
  bool Has(pid_t pid) const { return began_.contains(pid); }
  bool empty() const { return began_.empty(); }

 private:
  void Reap() {
    std::vector<pid_t> pids;
    for (const auto& [pid, exit] : ended_) pids.push_back(pid);
    for (const pid_t pid : pids) {
      if (ledger_.Keeps(pid)) continue;
      if (const auto exit = Take(pid); exit && *exit) ledger_.Ended(**exit);
    }
  }

  kernel::Result<std::optional<Exit>> Take(pid_t pid) {
    if (!Has(pid)) return kernel::Error{ECHILD, "wait"};
    const auto found = ended_.find(pid);
    if (found == ended_.end()) return std::optional<Exit>();
    const std::optional<Exit> exit = found->second;
    ended_.erase(found);
    began_.erase(pid);
    return exit;
  }

  uint64_t now_ = 100;
  std::map<pid_t, uint64_t> began_;
  std::map<pid_t, Exit> ended_;
  ExitLedger ledger_{{.take = [this](pid_t pid) { return Take(pid); },
                      .began = [this](pid_t pid) { return began_.at(pid); },
                      .now = [this] { return now_ += 10; },
                      .reap_soon = [this] { Reap(); }}};
};

class ExitLedgerTest : public testing::Test {
 protected:
  ExitLedger::Owner Tell() {
    return [this](const Exit& exit) { told_.push_back(exit.status.code); };
  }

  FakeHost host_;
  ExitLedger& ledger_ = host_.ledger();
  std::vector<int> told_;
};

TEST_F(ExitLedgerTest, TellsTheOwnerOnce) {
  host_.Begins(10);
  host_.Begins(11);
  EXPECT_TRUE(ledger_.Own(10, Tell()));
  host_.Ends(11, 1);
  host_.Ends(10, 2);
  host_.Begins(10);
  host_.Ends(10, 3);
  EXPECT_THAT(told_, ElementsAre(2));
  EXPECT_EQ(ledger_.owned(), 0U);
}

TEST_F(ExitLedgerTest, WhatEndsBeforeItIsOwnedIsThereStill) {
  const auto pending = ledger_.Begin();
  host_.Begins(10);
  host_.Ends(10, 7);
  EXPECT_TRUE(host_.Has(10));
  EXPECT_TRUE(ledger_.Own(10, Tell()));
  EXPECT_THAT(told_, ElementsAre(7));
  EXPECT_FALSE(host_.Has(10));
  EXPECT_EQ(ledger_.owned(), 0U);
}

TEST_F(ExitLedgerTest, WhatLostItsParentStaysNoLongerThanTheOldestCommand) {
  std::optional<ExitLedger::Pending> one(ledger_.Begin());
  host_.Begins(10);
  const auto two = ledger_.Begin();
  host_.Ends(10);
  EXPECT_TRUE(host_.Has(10));  // one may be about to name it
  one.reset();
  EXPECT_FALSE(host_.Has(10));  // two began after it
  host_.Begins(10);
  EXPECT_TRUE(ledger_.Own(10, Tell()));  // a later process with this pid
  EXPECT_THAT(told_, ElementsAre());
  host_.Ends(10, 4);
  EXPECT_THAT(told_, ElementsAre(4));
}

TEST_F(ExitLedgerTest, WhatIsOlderThanEveryCommandIsReapedAtOnce) {
  host_.Begins(10);
  const auto pending = ledger_.Begin();
  host_.Ends(10);
  EXPECT_FALSE(host_.Has(10));
}

TEST_F(ExitLedgerTest, WhoIsOwnedIsToldOfWhileOthersStay) {
  const auto pending = ledger_.Begin();
  host_.Begins(10);
  host_.Begins(11);
  EXPECT_TRUE(ledger_.Own(11, Tell()));
  host_.Ends(10, 1);
  host_.Ends(11, 2);
  EXPECT_THAT(told_, ElementsAre(2));
}

TEST_F(ExitLedgerTest, NobodyOwnsWhatIsNoChild) {
  EXPECT_FALSE(ledger_.Own(10, Tell()));
  EXPECT_EQ(ledger_.owned(), 0U);
  EXPECT_THAT(told_, ElementsAre());
}

TEST_F(ExitLedgerTest, TheLastOwnerIsTold) {
  host_.Begins(10);
  EXPECT_TRUE(ledger_.Own(10, [](const Exit&) { ADD_FAILURE() << "it owns nothing any more"; }));
  EXPECT_TRUE(ledger_.Own(10, Tell()));
  host_.Ends(10, 5);
  EXPECT_THAT(told_, ElementsAre(5));
}

TEST_F(ExitLedgerTest, AnOwnerMayOwnAnotherWhenItIsTold) {
  host_.Begins(10);
  EXPECT_TRUE(ledger_.Own(10, [this](const Exit&) {
    host_.Begins(10);
    EXPECT_TRUE(ledger_.Own(10, Tell()));
  }));
  host_.Ends(10, 1);
  host_.Ends(10, 2);
  EXPECT_THAT(told_, ElementsAre(2));
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
        host_.Begins(100);
        return;
      case kCreateReturns:
        log_ += "C";
        ASSERT_TRUE(ledger_.Own(100, [this](const Exit& exit) { exits_.InitEnded(exit); }));
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
        host_.Ends(100);
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
    EXPECT_TRUE(host_.empty()) << what;
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
      if (!fails_[exec]) host_.Begins(pid);
    } else if (step == 1 && fails_[exec]) {
      commands_[exec].reset();
      exits_.ExecDone();
    } else if (step == 1) {
      log_ += started;
      ASSERT_TRUE(ledger_.Own(pid, [this, ended](const Exit&) {
        log_ += ended;
        exits_.ExecDone();
      }));
      commands_[exec].reset();
    } else {
      host_.Ends(pid);
    }
  }

  const std::array<bool, 2> fails_;
  std::array<bool, kSteps> done_{};
  std::array<bool, 2> refused_{};
  bool start_refused_ = false;
  std::string log_;
  FakeHost host_;
  ExitLedger& ledger_ = host_.ledger();
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
