// SPDX-License-Identifier: Apache-2.0
#include "core/config/defaults.h"

#include <string>

#include "core/config/config.h"

namespace gantry::config {
namespace {

// Encrypted layers are decrypted by ocicrypt's program; harmless while no such layer is applied.
Table Decoder(const char* accepts, const char* returns) {
  return {
      {"accepts", List{accepts}},
      {"returns", returns},
      {"path", "ctd-decoder"},
      {"args", List{"--decryption-keys-path", "/etc/gantry/ocicrypt/keys"}},
      {"env", List{"OCICRYPT_KEYPROVIDER_CONFIG=/etc/gantry/ocicrypt/ocicrypt_keyprovider.conf"}}};
}

}  // namespace

Table DefaultTable() {
  const std::string timeout = "io.containerd.timeout.";
  return {
      {"version", kVersion},
      {"root", std::string(kDefaultRoot)},
      {"state", std::string(kDefaultState)},
      {"timeouts", Table{{timeout + "bolt.open", "0s"},
                         {timeout + "cri.defercleanup", "1m0s"},
                         {timeout + "metrics.shimstats", "2s"},
                         {timeout + "shim.cleanup", "5s"},
                         {timeout + "shim.load", "5s"},
                         {timeout + "shim.shutdown", "3s"},
                         {timeout + "task.state", "2s"}}},
      {"stream_processors", Table{{"io.containerd.ocicrypt.decoder.v1.tar",
                                   Decoder("application/vnd.oci.image.layer.v1.tar+encrypted",
                                           "application/vnd.oci.image.layer.v1.tar")},
                                  {"io.containerd.ocicrypt.decoder.v1.tar.gzip",
                                   Decoder("application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                                           "application/vnd.oci.image.layer.v1.tar+gzip")}}},
  };
}

}  // namespace gantry::config
