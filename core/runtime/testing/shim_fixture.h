// SPDX-License-Identifier: Apache-2.0
// A task manager and a shim that the test plays.
#pragma once

#include <string>
#include <utility>

#include "core/runtime/testing/fake_shim.h"
#include "core/runtime/testing/task_fixture.h"

namespace gantry::runtime::testing {

class ShimFixture : public TaskFixture {
 protected:
  static google::protobuf::Any AnyOf(std::string url, std::string value) {
    google::protobuf::Any any;
    any.set_type_url(std::move(url));
    any.set_value(std::move(value));
    return any;
  }

  // What makes a task of an empty spec with this shim.
  static CreateOptions OptionsFor(const FakeShim& shim) {
    CreateOptions options;
    options.spec = AnyOf("spec", "{}");
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
