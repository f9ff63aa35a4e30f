"""Two gRPC clients that learn every service from the server alone: grpcio (reflection v1alpha) and `buf curl` (v1)."""

import base64
import json
import subprocess

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import Parse, ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

PACKAGE = "orderarchiver.v1"
PATIENCE = 60


class Refused(Exception):
    """An error status: its code, its message and its `google.rpc` details by type."""

    def __init__(self, code, message, details):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details


class Grpcio:
    """The client that is built on the C core, as the clients of most languages are."""

    name = "grpcio"

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(database)
        self.services = sorted(name for name in database.get_services() if name.startswith(PACKAGE))

    def methods(self):
        """Every method of every service, as `Service.Method`."""
        found = [self.pool.FindServiceByName(service) for service in self.services]
        return {f"{service.name}.{method.name}": method for service in found for method in service.methods}

    def unary(self, method):
        return not (method.client_streaming or method.server_streaming)

    def call(self, method, request):
        """The answer to a unary call."""
        try:
            return self._callable(method, self.channel.unary_unary)(self.message(method, request), timeout=PATIENCE)
        except grpc.RpcError as error:
            raise refused(error) from None

    def stream(self, method, request):
        """The answers of a server stream, to be iterated over or cancelled."""
        return self._callable(method, self.channel.unary_stream)(self.message(method, request), timeout=PATIENCE)

    def exchange(self, method, requests):
        """The answers of a bidirectional stream."""
        call = self._callable(method, self.channel.stream_stream)
        return list(call((self.message(method, request) for request in requests), timeout=PATIENCE))

    def message(self, method, request):
        return ParseDict(request, GetMessageClass(method.input_type)(), descriptor_pool=self.pool)

    def _callable(self, method, kind):
        path = f"/{method.containing_service.full_name}/{method.name}"
        answer = GetMessageClass(method.output_type)
        return kind(path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=answer.FromString)


class Buf:
    """The client that is built on connect-go, as the protobuf community's tools are."""

    name = "buf curl"

    def __init__(self, program, address, pool):
        self.command = [program, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", "grpc-v1"]
        self.address = f"http://{address}"
        self.pool = pool

    def services(self):
        done = self._run(["--list-services", self.address])
        return sorted(name for name in done.stdout.split() if name.startswith(PACKAGE))

    def call(self, method, request):
        """The one answer to a call, or the only message of a server stream."""
        url = f"{self.address}/{method.containing_service.full_name}/{method.name}"
        done = self._run(["--data", json.dumps(request), url])
        if done.returncode == 0:
            return Parse(done.stdout, GetMessageClass(method.output_type)(), descriptor_pool=self.pool)
        try:
            error = json.loads(done.stderr)
        except ValueError:
            raise RuntimeError(f"buf ended with {done.returncode}: {done.stderr}") from None
        details = [(detail["type"], base64.b64decode(detail["value"] + "==")) for detail in error.get("details", [])]
        # Its exit code is eight times the gRPC code.
        raise Refused(code_pb2.Code.Name(done.returncode // 8), error.get("message", ""), decoded(details))

    def _run(self, arguments):
        return subprocess.run(self.command + arguments, capture_output=True, text=True, timeout=PATIENCE)


def refused(error):
    """What grpcio raised, with its details decoded."""
    status = rpc_status.from_call(error)
    details = [(any.type_url.split("/")[-1], any.value) for any in status.details] if status else []
    return Refused(error.code().name, error.details(), decoded(details))


def decoded(details):
    """The details by their short names, each decoded with Google's own classes."""
    return {name.split(".")[-1]: getattr(error_details_pb2, name.split(".")[-1]).FromString(value) for name, value in details}
