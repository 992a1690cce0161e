"""Server reflection under both of its names: v1, and v1alpha, which older tools ask for.

grpcio-reflection has v1alpha alone. The messages of v1 are the same, in another package.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToJson, Parse
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from tipstaff_server.rpc.methods import Methods

_V1 = reflection.SERVICE_NAME.replace("v1alpha", "v1")


def add_reflection(files: Sequence[FileDescriptor], methods: Methods) -> None:
    """Adds reflection of the services in some files, and of itself.

    Args:
        files: Files without dependencies.
        methods: Takes the services.
    """
    pool = DescriptorPool()
    names = [reflection.SERVICE_NAME, _V1]
    for file in (*files, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    for file in files:
        names += [service.full_name for service in file.services_by_name.values()]
    pool.AddSerializedFile(_v1_file().SerializeToString())
    servicer = reflection.aio.ReflectionServicer(names, pool=pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, methods)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods.add_registered_method_handlers(_V1, {"ServerReflectionInfo": method})


def _v1_file() -> FileDescriptorProto:
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    # Names, package and references alike.
    return Parse(MessageToJson(file).replace("v1alpha", "v1"), FileDescriptorProto())
