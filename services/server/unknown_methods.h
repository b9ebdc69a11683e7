// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <string>
#include <string_view>

namespace gantry::server {

// Why a call of `method` ("/package.Service/Method") is not served, in the words of the Go library,
// which clients print.
std::string DescribeUnserved(std::string_view method);

// Answers calls of methods that no service of the server has: UNIMPLEMENTED, with their names. The
// C++ library alone would leave the text empty.
class UnknownMethods final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override;
};

}  // namespace gantry::server
