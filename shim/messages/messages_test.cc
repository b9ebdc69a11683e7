// SPDX-License-Identifier: Apache-2.0
// Every message against the one that protoc generates: encodings are byte-equal, and damaged input
// is judged and understood alike. Seeds are fixed, so a failure repeats.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <random>

#include "cgroups/v1/metrics.pb.h"
#include "cgroups/v2/metrics.pb.h"
#include "events/task.pb.h"
#include "gantry/shim/v1/fast.pb.h"
#include "runtime/bootstrap/v1/bootstrap.pb.h"
#include "runtime/sandbox/v1/sandbox.pb.h"
#include "runtime/task/v2/shim.pb.h"
#include "services/streaming/v1/streaming.pb.h"
#include "services/ttrpc/events/v1/events.pb.h"
#include "shim/messages/bootstrap.h"
#include "shim/messages/cgroup_v1_metrics.h"
#include "shim/messages/cgroup_v2_metrics.h"
#include "shim/messages/codec.h"
#include "shim/messages/fast.h"
#include "shim/messages/options.h"
#include "shim/messages/runtime_info.h"
#include "shim/messages/sandbox.h"
#include "shim/messages/streaming.h"
#include "shim/messages/task_events.h"
#include "shim/messages/task_requests.h"
#include "shim/messages/task_responses.h"
#include "types/introspection.pb.h"
#include "types/runc/options/oci.pb.h"
#include "types/runtimeoptions/v1/api.pb.h"
#include "types/transfer/streaming.pb.h"

namespace gantry::shim::messages {
namespace {

namespace pb = ::google::protobuf;
using Random = std::mt19937_64;
using ::testing::PrintToString;

// Edges of the types more often than chance would have it.
uint64_t RandomNumber(Random& random) {
  constexpr std::array<uint64_t, 8> kEdges = {
      0, 1, 127, 128, 0x7FFF'FFFF, 0xFFFF'FFFF, 0x8000'0000'0000'0000, 0xFFFF'FFFF'FFFF'FFFF};
  return random() % 2 == 0 ? kEdges[random() % kEdges.size()] : random() >> random() % 64;
}

std::string RandomText(Random& random) {
  std::string text(random() % 8 == 0 ? random() % 300 : random() % 6, ' ');
  for (char& letter : text) letter = static_cast<char>('a' + random() % 26);
  return text;
}

void Fill(pb::Message& message, Random& random);

void FillOnce(pb::Message& message, const pb::FieldDescriptor* field, Random& random) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool add = field->is_repeated();
#define GANTRY_PUT(Kind, value)                       \
  (add ? reflection.Add##Kind(&message, field, value) \
       : reflection.Set##Kind(&message, field, value))
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return GANTRY_PUT(Int32, static_cast<int32_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return GANTRY_PUT(Int64, static_cast<int64_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return GANTRY_PUT(UInt32, static_cast<uint32_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return GANTRY_PUT(UInt64, RandomNumber(random));
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return GANTRY_PUT(Double, std::bit_cast<double>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return GANTRY_PUT(Bool, random() % 2 == 0);
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return GANTRY_PUT(EnumValue, static_cast<int32_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return GANTRY_PUT(String, RandomText(random));
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return Fill(*(add ? reflection.AddMessage(&message, field)
                        : reflection.MutableMessage(&message, field)),
                  random);
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      FAIL() << "no message has a field such as " << field->full_name();
  }
#undef GANTRY_PUT
}

// About every second field gets a value.
void Fill(pb::Message& message, Random& random) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
    for (uint64_t n = random() % (field->is_repeated() ? 4 : 2); n > 0; --n) {
      FillOnce(message, field, random);
    }
  }
}

// With map entries in the order of their keys.
std::string Serialize(const pb::Message& message) {
  std::string bytes;
  {
    pb::io::StringOutputStream stream(&bytes);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    EXPECT_TRUE(message.SerializeToCodedStream(&coded));
  }
  return bytes;
}

// Changes, removes or repeats a few bytes.
std::string Damage(std::string bytes, Random& random) {
  for (uint64_t changes = random() % 4; changes > 0 && !bytes.empty(); --changes) {
    const size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        bytes.erase(at, 1 + random() % 3);
        break;
      default:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 20));
    }
  }
  return bytes;
}

// The same contract, without the demand that text be UTF-8: text is declared as bytes, and maps as
// the repeated entries that they are on the wire.
class TextBlindContract {
 public:
  explicit TextBlindContract(const pb::Descriptor* descriptor) {
    Add(descriptor->file());
    message_.reset(
        factory_.GetPrototype(pool_.FindMessageTypeByName(descriptor->full_name()))->New());
  }

  bool Accepts(const std::string& bytes) { return message_->ParseFromString(bytes); }
  // What was parsed last, in libprotobuf's own spelling.
  std::string Encoded() const { return message_->SerializeAsString(); }
  // Whether what was parsed last has a group, which proto3 does not know: libprotobuf skips those,
  // and this room calls them malformed.
  bool HasGroup() const { return HasGroup(*message_); }

 private:
  static void Blind(pb::DescriptorProto& message) {
    message.mutable_options()->clear_map_entry();
    for (auto& field : *message.mutable_field()) {
      if (field.type() == pb::FieldDescriptorProto::TYPE_STRING) {
        field.set_type(pb::FieldDescriptorProto::TYPE_BYTES);
      }
    }
    for (auto& nested : *message.mutable_nested_type()) Blind(nested);
  }

  void Add(const pb::FileDescriptor* file) {
    if (pool_.FindFileByName(file->name()) != nullptr) return;
    for (int i = 0; i < file->dependency_count(); ++i) Add(file->dependency(i));
    pb::FileDescriptorProto copy;
    file->CopyTo(&copy);
    if (copy.syntax() == "proto3") {
      for (auto& message : *copy.mutable_message_type()) Blind(message);
    }
    ASSERT_NE(pool_.BuildFile(copy), nullptr);
  }

  static bool HasGroup(const pb::UnknownFieldSet& fields) {
    for (int i = 0; i < fields.field_count(); ++i) {
      if (fields.field(i).type() == pb::UnknownField::TYPE_GROUP) return true;
    }
    return false;
  }

  static bool HasGroup(const pb::Message& message) {
    const pb::Reflection& reflection = *message.GetReflection();
    if (HasGroup(reflection.GetUnknownFields(message))) return true;
    std::vector<const pb::FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    for (const pb::FieldDescriptor* field : fields) {
      if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (!field->is_repeated() && HasGroup(reflection.GetMessage(message, field))) return true;
      for (int i = 0; field->is_repeated() && i < reflection.FieldSize(message, field); ++i) {
        if (HasGroup(reflection.GetRepeatedMessage(message, field, i))) return true;
      }
    }
    return false;
  }

  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_;
  std::unique_ptr<pb::Message> message_;
};

template <typename T, typename Full>
void ExpectSameEncoding(Random& random) {
  for (int round = 0; round < 200; ++round) {
    Full full;
    if (round > 0) Fill(full, random);
    const std::string bytes = Serialize(full);
    const auto message = Decode<T>(bytes);
    ASSERT_TRUE(message);
    ASSERT_EQ(PrintToString(Encode(*message)), PrintToString(bytes));
  }
}

template <typename T, typename Full>
void ExpectSameJudgement(Random& random) {
  TextBlindContract contract(Full::descriptor());
  const pb::LogSilencer silence;  // of what it says about text that is not UTF-8
  for (int round = 0; round < 2000; ++round) {
    Full full;
    Fill(full, random);
    const std::string bytes = Damage(Serialize(full), random);
    auto message = Decode<T>(bytes);
    const bool accepted = contract.Accepts(bytes);
    if (accepted && !message) {
      if (contract.HasGroup()) continue;
      // Of a tag beyond 32 bits, libprotobuf drops what is too much; here, as in Go, it is an
      // error.
      message = Decode<T>(contract.Encoded());
    }
    ASSERT_EQ(message.has_value(), accepted) << PrintToString(bytes);
    if (!full.ParseFromString(bytes)) continue;
    full.DiscardUnknownFields();
    ASSERT_EQ(PrintToString(Encode(*message)), PrintToString(Serialize(full)))
        << PrintToString(bytes);
  }
}

template <typename T, typename Full>
void ExpectSame() {
  SCOPED_TRACE(Full::descriptor()->full_name());
  Random random(20240601);
  ExpectSameEncoding<T, Full>(random);
  ExpectSameJudgement<T, Full>(random);
}

namespace cd = ::containerd;

TEST(MessagesTest, TypesAreThoseOfProtobuf) {
  ExpectSame<Empty, pb::Empty>();
  ExpectSame<Any, pb::Any>();
  ExpectSame<Timestamp, pb::Timestamp>();
  ExpectSame<Mount, cd::types::Mount>();
}

TEST(MessagesTest, TaskRequestsAreThoseOfProtobuf) {
  ExpectSame<StateRequest, cd::task::v2::StateRequest>();
  ExpectSame<CreateTaskRequest, cd::task::v2::CreateTaskRequest>();
  ExpectSame<StartRequest, cd::task::v2::StartRequest>();
  ExpectSame<DeleteRequest, cd::task::v2::DeleteRequest>();
  ExpectSame<PidsRequest, cd::task::v2::PidsRequest>();
  ExpectSame<PauseRequest, cd::task::v2::PauseRequest>();
  ExpectSame<ResumeRequest, cd::task::v2::ResumeRequest>();
  ExpectSame<CheckpointTaskRequest, cd::task::v2::CheckpointTaskRequest>();
  ExpectSame<KillRequest, cd::task::v2::KillRequest>();
  ExpectSame<ExecProcessRequest, cd::task::v2::ExecProcessRequest>();
  ExpectSame<ResizePtyRequest, cd::task::v2::ResizePtyRequest>();
  ExpectSame<CloseIORequest, cd::task::v2::CloseIORequest>();
  ExpectSame<UpdateTaskRequest, cd::task::v2::UpdateTaskRequest>();
  ExpectSame<WaitRequest, cd::task::v2::WaitRequest>();
  ExpectSame<StatsRequest, cd::task::v2::StatsRequest>();
  ExpectSame<ConnectRequest, cd::task::v2::ConnectRequest>();
  ExpectSame<ShutdownRequest, cd::task::v2::ShutdownRequest>();
}

TEST(MessagesTest, TaskResponsesAreThoseOfProtobuf) {
  ExpectSame<StateResponse, cd::task::v2::StateResponse>();
  ExpectSame<CreateTaskResponse, cd::task::v2::CreateTaskResponse>();
  ExpectSame<StartResponse, cd::task::v2::StartResponse>();
  ExpectSame<DeleteResponse, cd::task::v2::DeleteResponse>();
  ExpectSame<PidsResponse, cd::task::v2::PidsResponse>();
  ExpectSame<WaitResponse, cd::task::v2::WaitResponse>();
  ExpectSame<StatsResponse, cd::task::v2::StatsResponse>();
  ExpectSame<ConnectResponse, cd::task::v2::ConnectResponse>();
}

TEST(MessagesTest, FastMessagesAreThoseOfProtobuf) {
  namespace fast = ::gantry::shim::v1;
  ExpectSame<ExecSyncRequest, fast::ExecSyncRequest>();
  ExpectSame<ExecSyncResponse, fast::ExecSyncResponse>();
  ExpectSame<CancelExecRequest, fast::CancelExecRequest>();
  ExpectSame<ReopenLogRequest, fast::ReopenLogRequest>();
  ExpectSame<AttachRequest, fast::AttachRequest>();
  ExpectSame<AttachResponse, fast::AttachResponse>();
  ExpectSame<StatsBatchRequest, fast::StatsBatchRequest>();
  ExpectSame<StatsBatchResponse, fast::StatsBatchResponse>();
  // What CreateStart borrows from the third version of the task service.
  ExpectSame<CreateTaskRequest, ::containerd::task::v3::CreateTaskRequest>();
  ExpectSame<StartResponse, ::containerd::task::v3::StartResponse>();
}

TEST(MessagesTest, EventsAreThoseOfProtobuf) {
  ExpectSame<TaskCreate, cd::events::TaskCreate>();
  ExpectSame<TaskStart, cd::events::TaskStart>();
  ExpectSame<TaskDelete, cd::events::TaskDelete>();
  ExpectSame<TaskExit, cd::events::TaskExit>();
  ExpectSame<TaskOOM, cd::events::TaskOOM>();
  ExpectSame<TaskExecAdded, cd::events::TaskExecAdded>();
  ExpectSame<TaskExecStarted, cd::events::TaskExecStarted>();
  ExpectSame<TaskPaused, cd::events::TaskPaused>();
  ExpectSame<TaskResumed, cd::events::TaskResumed>();
  ExpectSame<TaskCheckpointed, cd::events::TaskCheckpointed>();
  ExpectSame<ForwardRequest, cd::services::events::ttrpc::v1::ForwardRequest>();
}

TEST(MessagesTest, BootstrapAndInfoAreThoseOfProtobuf) {
  ExpectSame<BootstrapParams, cd::runtime::bootstrap::v1::BootstrapParams>();
  ExpectSame<BootstrapResult, cd::runtime::bootstrap::v1::BootstrapResult>();
  ExpectSame<MountCapabilities, cd::types::MountCapabilities>();
  ExpectSame<RuntimeInfo, cd::types::RuntimeInfo>();
}

TEST(MessagesTest, SandboxMessagesAreThoseOfProtobuf) {
  namespace sandbox = cd::runtime::sandbox::v1;
  ExpectSame<CreateSandboxRequest, sandbox::CreateSandboxRequest>();
  ExpectSame<StartSandboxRequest, sandbox::StartSandboxRequest>();
  ExpectSame<StartSandboxResponse, sandbox::StartSandboxResponse>();
  ExpectSame<PlatformRequest, sandbox::PlatformRequest>();
  ExpectSame<PlatformResponse, sandbox::PlatformResponse>();
  ExpectSame<StopSandboxRequest, sandbox::StopSandboxRequest>();
  ExpectSame<WaitSandboxRequest, sandbox::WaitSandboxRequest>();
  ExpectSame<WaitSandboxResponse, sandbox::WaitSandboxResponse>();
  ExpectSame<SandboxStatusRequest, sandbox::SandboxStatusRequest>();
  ExpectSame<SandboxStatusResponse, sandbox::SandboxStatusResponse>();
  ExpectSame<PingRequest, sandbox::PingRequest>();
  ExpectSame<ShutdownSandboxRequest, sandbox::ShutdownSandboxRequest>();
  ExpectSame<SandboxMetricsRequest, sandbox::SandboxMetricsRequest>();
  ExpectSame<SandboxMetricsResponse, sandbox::SandboxMetricsResponse>();
}

TEST(MessagesTest, OptionsAreThoseOfProtobuf) {
  ExpectSame<runc_v1::Options, cd::runc::v1::Options>();
  ExpectSame<runc_v1::CheckpointOptions, cd::runc::v1::CheckpointOptions>();
  ExpectSame<runc_v1::ProcessDetails, cd::runc::v1::ProcessDetails>();
  ExpectSame<runtimeoptions_v1::Options, ::runtimeoptions::v1::Options>();
}

TEST(MessagesTest, StreamMessagesAreThoseOfProtobuf) {
  ExpectSame<StreamInit, cd::services::streaming::v1::StreamInit>();
  ExpectSame<Data, cd::types::transfer::Data>();
  ExpectSame<WindowUpdate, cd::types::transfer::WindowUpdate>();
}

TEST(MessagesTest, MetricsOfCgroupV1AreThoseOfProtobuf) {
  ExpectSame<cgroup_v1::Metrics, ::io::containerd::cgroups::v1::Metrics>();
}

TEST(MessagesTest, MetricsOfCgroupV2AreThoseOfProtobuf) {
  ExpectSame<cgroup_v2::Metrics, ::io::containerd::cgroups::v2::Metrics>();
}

// The names under which messages travel are those of the contracts.
template <typename T, typename Full>
void ExpectName() {
  EXPECT_EQ(T::kTypeName, Full::descriptor()->full_name());
  EXPECT_EQ(Pack(T{}).type_url, Full::descriptor()->full_name());
}

TEST(MessagesTest, TypeNamesAreBareAndThoseOfProtobuf) {
  ExpectName<TaskCreate, cd::events::TaskCreate>();
  ExpectName<TaskStart, cd::events::TaskStart>();
  ExpectName<TaskDelete, cd::events::TaskDelete>();
  ExpectName<TaskExit, cd::events::TaskExit>();
  ExpectName<TaskOOM, cd::events::TaskOOM>();
  ExpectName<TaskExecAdded, cd::events::TaskExecAdded>();
  ExpectName<TaskExecStarted, cd::events::TaskExecStarted>();
  ExpectName<TaskPaused, cd::events::TaskPaused>();
  ExpectName<TaskResumed, cd::events::TaskResumed>();
  ExpectName<TaskCheckpointed, cd::events::TaskCheckpointed>();
  ExpectName<MountCapabilities, cd::types::MountCapabilities>();
  ExpectName<runc_v1::Options, cd::runc::v1::Options>();
  ExpectName<runc_v1::CheckpointOptions, cd::runc::v1::CheckpointOptions>();
  ExpectName<runc_v1::ProcessDetails, cd::runc::v1::ProcessDetails>();
  ExpectName<runtimeoptions_v1::Options, ::runtimeoptions::v1::Options>();
  ExpectName<StreamInit, cd::services::streaming::v1::StreamInit>();
  ExpectName<Data, cd::types::transfer::Data>();
  ExpectName<WindowUpdate, cd::types::transfer::WindowUpdate>();
  ExpectName<cgroup_v1::Metrics, ::io::containerd::cgroups::v1::Metrics>();
  ExpectName<cgroup_v2::Metrics, ::io::containerd::cgroups::v2::Metrics>();
}

TEST(MessagesTest, APackedMessageComesBack) {
  const Any any = Pack(TaskOOM{.container_id = "c"});
  EXPECT_EQ(Decode<TaskOOM>(any.value)->container_id, "c");
}

TEST(MessagesTest, ATypeIsWhatStandsBehindTheLastSlash) {
  EXPECT_EQ(TypeName({.type_url = "containerd.runc.v1.Options"}), "containerd.runc.v1.Options");
  EXPECT_EQ(TypeName({.type_url = "types.containerd.io/x/containerd.runc.v1.Options"}),
            "containerd.runc.v1.Options");
  EXPECT_EQ(TypeName({.type_url = "a/"}), "");
  EXPECT_EQ(TypeName({}), "");
}

TEST(MessagesTest, TheOptionsOfTheFirstGenerationComeBack) {
  linux_runc::CreateOptions options{.no_pivot_root = true,
                                    .empty_namespaces = {"network"},
                                    .no_new_keyring = true,
                                    .io_gid = 7,
                                    .criu_image_path = "/image"};
  const std::string bytes = Encode(options);
  EXPECT_EQ(bytes, "\x08\x01\x32\x07network\x40\x01\x58\x07\x6a\x06/image");
  EXPECT_EQ(Encode(*Decode<linux_runc::CreateOptions>(bytes)), bytes);
}

}  // namespace
}  // namespace gantry::shim::messages
