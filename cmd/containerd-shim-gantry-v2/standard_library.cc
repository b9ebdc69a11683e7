// SPDX-License-Identifier: Apache-2.0
// The places where the standard library throws, for a program that catches nothing: it says why
// and ends, as it would without this file, but neither the exceptions' own memory nor the code that
// makes, names and prints them is part of every shim.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <string_view>

namespace {

[[noreturn]] void End(std::string_view why) {
  (void)!::write(STDERR_FILENO, why.data(), why.size());
  (void)!::write(STDERR_FILENO, "\n", 1);
  std::abort();
}

}  // namespace

// NOLINTBEGIN(bugprone-*, readability-identifier-naming)
namespace __cxxabiv1 {
extern std::terminate_handler __terminate_handler;
std::terminate_handler __terminate_handler = std::abort;
}  // namespace __cxxabiv1

namespace std {
void __throw_bad_alloc() { End("out of memory"); }
void __throw_bad_array_new_length() { End("out of memory: a length"); }
void __throw_bad_function_call() { End("an empty function is called"); }
void __throw_length_error(const char* what) { End(what); }
void __throw_logic_error(const char* what) { End(what); }
void __throw_out_of_range(const char* what) { End(what); }
void __throw_out_of_range_fmt(const char* what, ...) { End(what); }  // NOLINT(cert-dcl50-cpp)
void __throw_invalid_argument(const char* what) { End(what); }
}  // namespace std
// NOLINTEND(bugprone-*, readability-identifier-naming)

void* operator new(size_t size) {
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;  // NOLINT
  End("out of memory");
}
void operator delete(void* memory) noexcept { std::free(memory); }          // NOLINT
void operator delete(void* memory, size_t) noexcept { std::free(memory); }  // NOLINT
