// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "core/metrics/histogram.h"
#include "core/metrics/registry.h"
#include "gtest/gtest.h"

namespace gantry::metrics {
namespace {

Source Constant(std::string name, Labels labels, double value) {
  return [=](std::vector<Family>& families) {
    families.push_back({name, "help", Type::kCounter, {{labels, value}}});
  };
}

TEST(RegistryTest, RendersPrometheusText) {
  Registry registry;
  const auto second = registry.Add(Constant("b_total", {}, 2));
  const auto first = registry.Add(Constant("a_total", {{"x", "1"}, {"y", "q\"\\\n"}}, 0.5));
  EXPECT_EQ(Render(registry.Collect()),
            "# HELP a_total help\n# TYPE a_total counter\n"
            "a_total{x=\"1\",y=\"q\\\"\\\\\\n\"} 0.5\n"
            "# HELP b_total help\n# TYPE b_total counter\n"
            "b_total 2\n");
}

TEST(RegistryTest, SeriesOfOneNameAreJoined) {
  Registry registry;
  const auto one = registry.Add(Constant("a", {{"k", "1"}}, 1));
  const auto two = registry.Add(Constant("a", {{"k", "2"}}, 2));
  EXPECT_EQ(Render(registry.Collect()),
            "# HELP a help\n# TYPE a counter\na{k=\"1\"} 1\na{k=\"2\"} 2\n");
}

TEST(RegistryTest, ASourceEndsWithItsRegistration) {
  Registry registry;
  {
    auto registration = registry.Add(Constant("a", {}, 1));
    Registry::Registration moved;
    moved = std::move(registration);
    EXPECT_EQ(registry.Collect().size(), 1u);
  }
  EXPECT_TRUE(registry.Collect().empty());
}

TEST(HistogramTest, BucketsAreCumulative) {
  DurationHistogram histogram;
  histogram.Observe(absl::Milliseconds(5));
  histogram.Observe(absl::Milliseconds(300));
  histogram.Observe(absl::Seconds(60));
  Family family{"h", "help", Type::kHistogram, {}};
  histogram.AddTo(family, {{"k", "v"}});
  const std::string text = Render(std::vector<Family>{family});
  for (const char* line :
       {"h_bucket{k=\"v\",le=\"0.005\"} 1\n", "h_bucket{k=\"v\",le=\"0.25\"} 1\n",
        "h_bucket{k=\"v\",le=\"0.5\"} 2\n", "h_bucket{k=\"v\",le=\"10\"} 2\n",
        "h_bucket{k=\"v\",le=\"+Inf\"} 3\n", "h_sum{k=\"v\"} 60.305\n", "h_count{k=\"v\"} 3\n",
        "# TYPE h histogram\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace gantry::metrics
