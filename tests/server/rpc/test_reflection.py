from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2 as pb

SERVICES = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "tipstaff.v1.ScoringService",
}


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_describes_every_service_under_both_its_names(server, version):
    ask = server.channel().stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        pb.ServerReflectionRequest.SerializeToString,
        pb.ServerReflectionResponse.FromString,
    )
    requests = [pb.ServerReflectionRequest(list_services="")]
    requests += [pb.ServerReflectionRequest(file_containing_symbol=name) for name in SERVICES]
    listed, *files = ask(iter(requests), timeout=10)
    assert {service.name for service in listed.list_services_response.service} == SERVICES
    pool = DescriptorPool()
    for reply in files:
        for serialized in reply.file_descriptor_response.file_descriptor_proto:
            pool.Add(FileDescriptorProto.FromString(serialized))
    for name in SERVICES:
        assert pool.FindServiceByName(name).methods
    method = pool.FindServiceByName("grpc.reflection.v1.ServerReflection").methods[0]
    assert method.input_type.full_name == "grpc.reflection.v1.ServerReflectionRequest"


def test_what_is_not_there_is_not_found(server):
    ask = server.channel().stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        pb.ServerReflectionRequest.SerializeToString,
        pb.ServerReflectionResponse.FromString,
    )
    asked = pb.ServerReflectionRequest(file_containing_symbol="google.protobuf.Any")
    (reply,) = ask(iter([asked]), timeout=10)
    assert reply.error_response.error_code == 5
