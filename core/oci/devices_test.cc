// SPDX-License-Identifier: Apache-2.0
#include "core/oci/devices.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/oci/default_spec.h"

namespace gantry::oci {
namespace {

using testing::IsOk;
using testing::StatusIs;

TEST(DevicesTest, NullDeviceIsDescribed) {
  const absl::StatusOr<Device> device = DeviceAt("/dev/null");
  ASSERT_THAT(device, IsOk());
  EXPECT_EQ(device->type, 'c');
  EXPECT_EQ(device->major, 1);
  EXPECT_EQ(device->minor, 3);
  EXPECT_EQ(device->mode & 0777, 0666U);
}

TEST(DevicesTest, OrdinaryFileIsNoDevice) {
  const testing::TempDir folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THAT(DevicesBelow(folder.path() / "file"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(DevicesBelow(folder.path() / "absent"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(DevicesTest, FolderYieldsDevicesOnly) {
  const absl::StatusOr<std::vector<Device>> devices = DevicesBelow("/dev", "/host");
  ASSERT_THAT(devices, IsOk());
  bool null_seen = false;
  for (const Device& device : *devices) {
    EXPECT_TRUE(device.path.starts_with("/host/")) << device.path;
    EXPECT_FALSE(device.path.starts_with("/host/pts/")) << device.path;
    EXPECT_NE(device.type, 'p');
    null_seen = null_seen || device.path == "/host/null";
  }
  EXPECT_TRUE(null_seen);
}

TEST(DevicesTest, AddedDeviceGetsNodeAndRule) {
  Json spec = DefaultSpec("ns", "id");
  AllowDefaultDevices(spec);
  EXPECT_EQ(spec["linux"]["resources"]["devices"].size(), 10U);
  AddDevices(spec, {{.path = "/dev/x", .type = 'b', .major = 7, .minor = 1}}, "rw");
  const Json& rule = spec["linux"]["resources"]["devices"].back();
  EXPECT_EQ(rule,
            Json({{"allow", true}, {"type", "b"}, {"major", 7}, {"minor", 1}, {"access", "rw"}}));
  EXPECT_EQ(spec["linux"]["devices"][0]["path"], "/dev/x");
  AllowAllDevices(spec);
  EXPECT_EQ(spec["linux"]["resources"]["devices"].size(), 1U);
}

}  // namespace
}  // namespace gantry::oci
