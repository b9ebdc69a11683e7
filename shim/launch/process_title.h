// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace gantry::shim {

// Shows `arguments` as this process's command line, and the base name of the first as its name.
// `argv` is what main() got, `argc` of them; arguments that do not fit into their room are left
// out. The old arguments are gone afterwards.
void SetProcessTitle(int argc, char** argv, const std::vector<std::string>& arguments);

}  // namespace gantry::shim
