"""The API's description in a browser, with nothing loaded from elsewhere: Swagger UI comes with a package."""

import secrets
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from domain.errors import NotFound

router = APIRouter(include_in_schema=False)

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon.png">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script nonce="$nonce">
SwaggerUIBundle({
  url: "openapi.json", dom_id: "#api", deepLinking: true, displayRequestDuration: true, persistAuthorization: false,
  docExpansion: "list", defaultModelsExpandDepth: 0, tryItOutEnabled: true, validatorUrl: null
});
</script>
</body>
</html>
""")


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Swagger UI over `/openapi.json`."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    page = _PAGE.substitute(title=request.app.title, nonce=nonce)
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@router.get("/openapi.json")
def description(request: Request) -> JSONResponse:
    """The description itself. No coroutine: making it takes a second, in which the process has others to answer."""
    return JSONResponse(request.app.openapi())


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """Swagger UI's own files."""
    kind = _ASSETS.get(name)
    if kind is None:
        raise NotFound("file", name)
    return Response(_folder().joinpath(name).read_bytes(), media_type=kind, headers={"Cache-Control": "max-age=86400"})


def _folder() -> Traversable:
    return files("fastapi_offline") / "static"
