// SPDX-License-Identifier: Apache-2.0
#include "shim/json/pid_list.h"

#include <limits>

#include "shim/json/json_reader.h"

namespace gantry::shim {

kernel::Result<std::vector<pid_t>> ParsePidList(std::string_view text) {
  constexpr auto kAct = "read process list";
  std::vector<pid_t> pids;
  JsonReader json(text);
  if (!json.Null()) {
    if (!json.EnterArray()) return json.Error(kAct);
    while (json.NextElement()) {
      const auto pid = json.Int();
      if (!pid || *pid <= 0 || *pid > std::numeric_limits<pid_t>::max()) {
        return kernel::Error{
            EINVAL, std::string(kAct) + ": no pid at byte " + std::to_string(json.offset())};
      }
      pids.push_back(static_cast<pid_t>(*pid));
    }
  }
  if (!json.Finish()) return json.Error(kAct);
  return pids;
}

}  // namespace gantry::shim
