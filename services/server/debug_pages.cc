// SPDX-License-Identifier: Apache-2.0
#include "services/server/debug_pages.h"

#include <string_view>
#include <utility>

#include "core/kernel/file.h"

namespace gantry::server {
namespace {

constexpr std::string_view kProfiles = "/debug/pprof/";
constexpr size_t kMaxCommandLineBytes = size_t{1} << 20;

HttpResponse NoSuchPage() { return {.code = 404, .body = "404 page not found\n"}; }

std::string CommandLine() {
  const auto text = kernel::ReadFile("/proc/self/cmdline", kMaxCommandLineBytes);
  return text.ok() ? *text : std::string();
}

HttpResponse Profile(const DebugSources& sources, std::string_view name) {
  if (name == "goroutine" || name == "threads") return {.body = sources.stacks()};
  if (name == "cmdline") return {.body = CommandLine()};
  if (name.empty()) return {.body = "cmdline\ngoroutine\nthreads\n"};
  return {.code = 501, .body = fmt::format("no profile \"{}\"; use perf(1)\n", name)};
}

}  // namespace

HttpHandler MetricsPages(const metrics::Registry& registry) {
  return [&registry](std::string_view target) -> HttpResponse {
    if (target != "/v1/metrics") return NoSuchPage();
    return {.type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metrics::Render(registry.Collect())};
  };
}

HttpHandler DebugPages(DebugSources sources) {
  return [sources = std::move(sources)](std::string_view target) -> HttpResponse {
    if (target == "/debug/vars") return {.type = "application/json", .body = sources.vars()};
    if (target == "/debug/state") return {.body = sources.state()};
    if (target.starts_with(kProfiles)) {
      return Profile(sources, target.substr(kProfiles.size()));
    }
    return NoSuchPage();
  };
}

}  // namespace gantry::server
