// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"flag"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	mountsapi "github.com/containerd/containerd/api/services/mounts/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// services are those whose every RPC this suite must call.
var services = []grpc.ServiceDesc{
	containersapi.Containers_ServiceDesc, contentapi.Content_ServiceDesc, diffapi.Diff_ServiceDesc,
	eventsapi.Events_ServiceDesc, imagesapi.Images_ServiceDesc, introspectionapi.Introspection_ServiceDesc,
	leasesapi.Leases_ServiceDesc, mountsapi.Mounts_ServiceDesc, namespacesapi.Namespaces_ServiceDesc,
	sandboxapi.Controller_ServiceDesc, sandboxapi.Store_ServiceDesc, snapshotsapi.Snapshots_ServiceDesc, streamingapi.Streaming_ServiceDesc,
	tasksapi.Tasks_ServiceDesc, versionapi.Version_ServiceDesc,
}

// healthRPCs are the health methods that containerd serves; later grpc libraries know more.
var healthRPCs = []string{grpc_health_v1.Health_Check_FullMethodName, grpc_health_v1.Health_Watch_FullMethodName}

// untested names the RPCs that a complete, successful run did not call.
func untested(code int) []string {
	if code != 0 || flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.skip").Value.String() != "" {
		return nil
	}
	wanted := append([]string{}, healthRPCs...)
	for _, service := range services {
		for _, method := range service.Methods {
			wanted = append(wanted, "/"+service.ServiceName+"/"+method.MethodName)
		}
		for _, stream := range service.Streams {
			wanted = append(wanted, "/"+service.ServiceName+"/"+stream.StreamName)
		}
	}
	var missing []string
	for _, method := range wanted {
		if _, called := calledRPCs.Load(method); !called {
			missing = append(missing, "no test calls "+method)
		}
	}
	return missing
}
