// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/process_title.h"

#include <sys/prctl.h>

#include <cstddef>
#include <cstring>
#include <string_view>

namespace gantry::shim {

void SetProcessTitle(int argc, char** argv, const std::vector<std::string>& arguments) {
  if (argc == 0 || arguments.empty()) return;
  const std::string& program = arguments.front();
  ::prctl(PR_SET_NAME, program.c_str() + program.rfind('/') + 1, 0, 0, 0);

  // The kernel puts the arguments one behind the other.
  char* const begin = argv[0];
  char* end = begin;
  for (int i = 0; i < argc && argv[i] == end; ++i) end += std::strlen(argv[i]) + 1;

  char* next = begin;
  for (const std::string& argument : arguments) {
    const size_t size = argument.size() + 1;
    if (static_cast<size_t>(end - next) < size) break;
    std::memcpy(next, argument.c_str(), size);
    next += size;
  }
  std::memset(next, 0, static_cast<size_t>(end - next));
  // Where this is not allowed, the line ends in empty arguments.
  ::prctl(PR_SET_MM, PR_SET_MM_ARG_END, next, 0, 0);
}

}  // namespace gantry::shim
