"""Handlers of /api/models and of its upload."""

from aiohttp import web
from pydantic import ValidationError

from decentralized_vllm.protocol.ids import ModelId
from dvllm_gateway.dialects.dvllm import rendering, schemas
from dvllm_gateway.dialects.dvllm.callers import caller_of
from dvllm_gateway.dialects.dvllm.wire import Wire
from dvllm_gateway.errors import Forbidden, InvalidRequest
from dvllm_gateway.http.multipart import FormField, FormFile, form_parts
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.http.replies import LastRendered
from dvllm_gateway.http.routing import CONTENT_DIGEST
from dvllm_gateway.http.validation import first_problem
from dvllm_gateway.services.network import Model
from dvllm_gateway.services.ports import ModelUpload
from dvllm_gateway.services.uploads import ModelFolder, Uploads

FORM_BYTES = 1 << 20  # of a form beside its files

_FILE = "file"


class ModelHandlers:
    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self.max_body_bytes = uploads.max_bytes + FORM_BYTES
        self._rendered = LastRendered(_models_reply)

    async def list(self, call: Call[None, None]) -> web.Response:
        """Rendered once for each list that the core has, which lives for seconds."""
        return self._rendered.reply(await call.core.models.list(active_only=False))

    async def upload(self, call: Call[None, None]) -> Reply:
        """The signature covers a digest of the form, which is checked when all of it is here."""
        caller = caller_of(call)
        if caller.address is None:
            raise Forbidden("only the wallet that owns the registry may do this")
        async with self._uploads.receive(call.request.content_length) as folder:
            texts = await self._receive(call.request, folder)
            form = _checked(texts)
            cid = await call.core.models.inspect(folder.path)
            claimed = call.request.headers.get(CONTENT_DIGEST, "")
            call.core.auth.check_content(claimed, texts, cid)
            published = await call.core.models.publish(
                ModelUpload(
                    model_id=ModelId(form.model_id),
                    name=form.name,
                    description=form.description,
                    folder=folder.path,
                    caller=caller.address,
                )
            )
        return Reply(rendering.upload_reply(published), status=201)

    async def _receive(self, request: web.Request, folder: ModelFolder) -> dict[str, str]:
        """The texts of the form; its files go to the folder."""
        texts: dict[str, str] = {}
        async for part in form_parts(request, max_bytes=self.max_body_bytes):
            match part:
                case FormFile(name=name) if name == _FILE:
                    await folder.save(part.file_name, part.pieces)
                case FormField(name=name) if name != _FILE and name not in texts:
                    texts[name] = part.value
                case _:
                    raise InvalidRequest(f"{part.name[:100]!r} is not expected here")
        return texts


def _models_reply(models: tuple[Model, ...]) -> schemas.ModelsReply:
    return schemas.ModelsReply(models=[rendering.model_item(model) for model in models])


class _Texts(Wire):
    """What an upload's form has beside its files."""

    model_id: schemas.ModelIdText
    name: schemas.NameText
    description: schemas.DescriptionText = ""


def _checked(texts: dict[str, str]) -> _Texts:
    try:
        return _Texts.model_validate(texts, by_name=False)
    except ValidationError as error:
        raise first_problem(error) from None
