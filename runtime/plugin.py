"""The one Temporal plugin: converter, codec and sandbox, the same for client, worker and replayer."""

import sys

from temporalio.client import Client, GrpcCompression, TLSConfig
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.plugin import SimplePlugin
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from runtime.codec import EncryptionCodec
from runtime.converter import WaybillPayloadConverter
from runtime.kept_code import keep_workflow_code
from runtime.sandbox import WithoutContext
from runtime.settings import Settings, TemporalSettings
from runtime.traces import UNTRACED, Traces
from runtime.wishes import Wishes

# What is encrypted cannot be compressed, and the rest of a message is little.
_COMPRESSION = GrpcCompression.NONE


def waybill_plugin(codec: EncryptionCodec, traces: Traces = UNTRACED, *, sandboxed: bool = True) -> SimplePlugin:
    """The plugin under which Waybill's workflows run, are called and are replayed.

    A workflow that is ``sandboxed`` cannot look at clocks or chance unnoticed, and loads its files anew for each run.
    """
    return SimplePlugin(
        "waybill",
        data_converter=data_converter(codec),
        workflow_runner=_in_the_sandbox if sandboxed else _as_it_is,
        interceptors=[Wishes(), *traces.interceptors],
    )


def data_converter(codec: EncryptionCodec) -> DataConverter:
    """Dataclasses as JSON through pydantic, encrypted; failure texts and stack traces encrypted as well."""
    return DataConverter(
        payload_converter_class=WaybillPayloadConverter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _as_it_is(_: WorkflowRunner | None) -> WorkflowRunner:
    return WithoutContext(UnsandboxedWorkflowRunner())


def _in_the_sandbox(_: WorkflowRunner | None) -> WorkflowRunner:
    keep_workflow_code()
    # Only our own workflow files are loaded anew for every workflow, where the sandbox catches clocks and randomness;
    # reloading the libraries as well would cost 30 ms and 0.8 MB a workflow.
    passed = {name.partition(".")[0] for name in sys.modules} - {"workflows", "__main__", "__mp_main__"}
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*passed)
    return WithoutContext(SandboxedWorkflowRunner(restrictions=restrictions))


async def connect(
    settings: Settings, *, lazy: bool = True, traces: Traces = UNTRACED, sandboxed: bool = False
) -> Client:
    """A client of Temporal. A ``lazy`` one connects at its first call: its process can start while Temporal is away.

    Workers need one that is connected; connecting raises RuntimeError while Temporal is away. Theirs are not
    ``sandboxed``: workflows are tested and replayed in the sandbox, and run outside of it.
    """
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=settings.temporal_api_key or None,
        tls=_tls(settings),
        grpc_compression=_COMPRESSION,
        plugins=[waybill_plugin(EncryptionCodec(settings.key_ring), traces, sandboxed=sandboxed)],
        lazy=lazy,
    )


async def connect_bare(settings: TemporalSettings) -> Client:
    """A connected client for questions without payloads. Raises RuntimeError while Temporal is away."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=settings.temporal_api_key or None,
        tls=_tls(settings),
        grpc_compression=_COMPRESSION,
    )


def _tls(settings: TemporalSettings) -> TLSConfig | bool:
    if settings.temporal_tls_cert or settings.temporal_tls_ca or settings.temporal_tls_server_name:
        return TLSConfig(
            domain=settings.temporal_tls_server_name or None,
            server_root_ca_cert=settings.temporal_tls_ca.encode() or None,
            client_cert=settings.temporal_tls_cert.encode() or None,
            client_private_key=settings.temporal_tls_key.encode() or None,
        )
    return bool(settings.temporal_api_key)
