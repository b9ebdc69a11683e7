// SPDX-License-Identifier: Apache-2.0
// A task manager and a shim that the test plays.
#pragma once

#include <string>

#include "core/runtime/testing/fake_shim.h"
#include "core/runtime/testing/task_fixture.h"

namespace gantry::runtime::testing {

class ShimFixture : public TaskFixture {
 protected:
  // What makes a task of an empty spec with this shim.
  static CreateOptions OptionsFor(const FakeShim& shim) {
    CreateOptions options;
    options.spec.emplace();
    options.spec->set_type_url("spec");
    options.spec->set_value("{}");
    options.runtime = shim.program().string();
    return options;
  }
  CreateOptions Options() const { return OptionsFor(shim_); }

  void CreateAndStart(const std::string& id) {
    ASSERT_THAT(Create(id, Options()), gantry::testing::IsOk());
    ASSERT_THAT(Start(id), gantry::testing::IsOk());
  }

  FakeShim shim_{dir_.path() / "shim"};
};

}  // namespace gantry::runtime::testing
