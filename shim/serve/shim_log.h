// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace gantry::shim {

// Makes the fifo `log` of the bundle in the working directory our standard error, and `/` the
// working directory: the bundle goes with the first container of the group. Without the fifo, logs
// go where they went before.
void OpenLog();

// One line, cut to what a fifo takes as a whole. Where nobody reads, or nobody reads fast enough,
// it is lost: a log must stop nobody.
void Log(std::string_view level, std::string_view message);

}  // namespace gantry::shim
