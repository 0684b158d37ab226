"""All settings, read from the environment; docs/settings.md lists them and a test holds the list true.

The defaults are the embedded set-up: SQLite, a broker of files, local storage, everything under STUDIO_DATA.
"""

import os
import secrets
from pathlib import Path

from environs import Env

env = Env()

# Shorter ones can be guessed.
MIN_TOKEN_CHARACTERS = 20

BASE_DIR = Path(__file__).resolve().parent.parent
STUDIO_DATA: Path = env.path("STUDIO_DATA", BASE_DIR / "data").resolve()
try:
    # Photos, password hashes and sessions lie here: for this account only.
    STUDIO_DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    raise SystemExit(f"STUDIO_DATA is {STUDIO_DATA}, which cannot be used: {error.strerror}. Name a folder.") from error


def _secret_key() -> str:
    """The key given, or one made once and kept, readable by its owner only."""
    if given := env.str("STUDIO_SECRET_KEY", ""):
        return given
    path = STUDIO_DATA / "secret_key"
    if not path.exists():
        # Linked into place, so that two processes starting at once agree on one key.
        draft = path.with_name(f"secret_key.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


SECRET_KEY = _secret_key()
DEBUG: bool = env.bool("STUDIO_DEBUG", False)
ALLOWED_HOSTS: list[str] = env.list("STUDIO_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
# True behind TLS: cookies are then sent over https only.
STUDIO_HTTPS: bool = env.bool("STUDIO_HTTPS", False)
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS if host != "*"] if STUDIO_HTTPS else []

INSTALLED_APPS = [
    "studio.apps.StudioConfig",
    "campaigns.apps.CampaignsConfig",
    "inference.apps.InferenceConfig",
    "gallery.apps.GalleryConfig",
    "billing.apps.BillingConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "heroicons",
    "template_partials",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "studio.compression.TextCompression",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "studio.toasts.middleware",
    "allauth.account.middleware.AccountMiddleware",
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # templates/django/forms: every form looks the same
CSRF_FAILURE_VIEW = "studio.views.errors.expired"
ROOT_URLCONF = "studio.urls"
WSGI_APPLICATION = "studio.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "studio.context_processors.shell",
            ]
        },
    }
]

# --- database ---------------------------------------------------------------------------------------------------------

_SQLITE = "django.db.backends.sqlite3"
DATABASES = {
    "default": env.dj_db_url("DATABASE_URL")
    if env.str("DATABASE_URL", "")
    # Not as a URL: a folder's name may hold what a URL gives a meaning to.
    else {"ENGINE": _SQLITE, "NAME": str(STUDIO_DATA / "studio.sqlite3")}
}
if DATABASES["default"]["ENGINE"] == _SQLITE:
    # The workers run in another folder than whoever typed a relative path.
    DATABASES["default"]["NAME"] = str(Path(DATABASES["default"]["NAME"]).resolve())
    DATABASES["default"]["OPTIONS"] = {
        # A transaction takes the write lock when it begins; Django's default takes it at the first write and then
        # fails with "database is locked" whenever somebody else wrote in between.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
    # A file, as in real life: tests use threads and processes, which an in-memory database cannot be shared with.
    DATABASES["default"]["TEST"] = {"NAME": str(STUDIO_DATA / "test.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "studio.User"

# --- queue ------------------------------------------------------------------------------------------------------------

STUDIO_BROKER_URL: str = env.str("STUDIO_BROKER_URL", "embedded")
BROKER_DIR = STUDIO_DATA / "broker"
# What renders: "diffusers", or "fixed-rate" for benches and drills without a neural network.
STUDIO_ENGINE: str = env.str("STUDIO_ENGINE", "diffusers", validate=lambda value: value in {"diffusers", "fixed-rate"})
# Folders that take the place of a catalogue entry's own checkpoint: "starter=/models/sdxl-base,sd-1-5=/models/sd15".
_folders: dict[str, str] = env.dict("STUDIO_CHECKPOINTS", {})
STUDIO_CHECKPOINTS = {slug: Path(folder).expanduser().resolve() for slug, folder in _folders.items()}
STUDIO_MAX_RUNNING: int = env.int("STUDIO_MAX_RUNNING", 64)  # renders of one workspace in progress at once

# --- files ------------------------------------------------------------------------------------------------------------

MEDIA_ROOT = STUDIO_DATA / "media"
STATIC_URL = "static/"
STATIC_ROOT = STUDIO_DATA / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS: list[Path] = []
WHITENOISE_USE_FINDERS = True  # no collectstatic step on a single machine
STORAGES = {
    "default": {"BACKEND": "gallery.storage.AtomicFileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Whoever chooses everything that a long shelf shows sends an id for each.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
# The products of the largest launch, each with its photo and mask, come in at once.
DATA_UPLOAD_MAX_NUMBER_FILES = 4_100
STUDIO_UPLOAD_MAX_BYTES: int = env.int("STUDIO_UPLOAD_MAX_BYTES", 50_000_000)
STUDIO_LORA_MAX_BYTES: int = env.int("STUDIO_LORA_MAX_BYTES", 2_000_000_000)
STUDIO_UPLOAD_MAX_PIXELS: int = env.int("STUDIO_UPLOAD_MAX_PIXELS", 64_000_000)
STUDIO_DECODE_MAX_MEMORY_BYTES: int = env.int("STUDIO_DECODE_MAX_MEMORY_BYTES", 2 * 1024**3)
STUDIO_DECODE_TIMEOUT_S: int = env.int("STUDIO_DECODE_TIMEOUT_S", 20)

# --- accounts and the web ---------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"
# Who may make an account: everybody who finds the page, or only who holds an invitation's link.
STUDIO_SIGNUP: str = env.str("STUDIO_SIGNUP", "open", validate=lambda value: value in {"open", "invited"})
STUDIO_CONFIRM_EMAIL: bool = env.bool("STUDIO_CONFIRM_EMAIL", False)
ACCOUNT_ADAPTER = "studio.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None  # studio.models.User fills it in
ACCOUNT_USER_DISPLAY = "studio.accounts.display_name"
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if STUDIO_CONFIRM_EMAIL else "optional"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # else anybody could have us write to strangers
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that signed up, nowhere else
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_FORMS = {
    "login": "studio.forms.account.SignInForm",
    "signup": "studio.forms.account.SignUpForm",
    "add_email": "studio.forms.account.ChangeEmailForm",
    "change_password": "studio.forms.account.ChangePasswordForm",
    "set_password": "studio.forms.account.SetPasswordForm",
    "reset_password": "studio.forms.account.ResetPasswordForm",
    "reset_password_from_key": "studio.forms.account.NewPasswordForm",
    "reauthenticate": "studio.forms.account.ConfirmPasswordForm",
}
# Counted per address of the network (ip), per person (user) or per e-mail address (key).
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "signup": "20/h/ip",
    "reset_password": "20/h/ip,5/h/key",
    "invite": "30/h/user",
    "invitation": "30/m/ip",
}
ALLAUTH_TRUSTED_PROXY_COUNT: int = env.int("STUDIO_TRUSTED_PROXIES", 0)
MFA_ADAPTER = "studio.accounts.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = not STUDIO_CONFIRM_EMAIL
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not STUDIO_HTTPS  # browsers themselves allow it on localhost only
MFA_TOTP_ISSUER = "Proofsheet"
MFA_TOTP_TOLERANCE = 1  # a phone's clock may be half a minute off
MFA_FORMS = {
    "authenticate": "studio.forms.account.CodeForm",
    "reauthenticate": "studio.forms.account.ConfirmCodeForm",
    "activate_totp": "studio.forms.account.ActivateTotpForm",
    "add_webauthn": "studio.forms.account.AddPasskeyForm",
    "edit_webauthn": "studio.forms.account.RenamePasskeyForm",
}
# Attempts are counted here. One web process has them in memory; several count together where there is Redis.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": STUDIO_BROKER_URL}
    if STUDIO_BROKER_URL.startswith(("redis://", "rediss://"))
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = STUDIO_HTTPS
# A balancer asks the processes themselves, without TLS; a redirect would look to it like health.
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_HSTS_SECONDS = 31_536_000 if STUDIO_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = STUDIO_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if STUDIO_HTTPS else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],  # blob: what one is about to upload, shown before it is sent
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- operations -------------------------------------------------------------------------------------------------------

# Prometheus has no session: with this token it may read /metrics. Without one only staff may.
STUDIO_METRICS_TOKEN: str = env.str(
    "STUDIO_METRICS_TOKEN", "", validate=lambda value: not value or len(value) >= MIN_TOKEN_CHARACTERS
)

# --- mail -------------------------------------------------------------------------------------------------------------

MAIL_FOLDER = STUDIO_DATA / "mail"
EMAIL_FILE_PATH = str(MAIL_FOLDER)
STUDIO_HAS_MAIL_SERVER = bool(env.str("STUDIO_MAIL_URL", ""))
if STUDIO_HAS_MAIL_SERVER:
    _server = env.dj_email_url("STUDIO_MAIL_URL")
    EMAIL_BACKEND = "studio.mail.ServerElseFolder"
    EMAIL_HOST, EMAIL_PORT = _server["EMAIL_HOST"], _server["EMAIL_PORT"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _server["EMAIL_HOST_USER"], _server["EMAIL_HOST_PASSWORD"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = _server["EMAIL_USE_TLS"], _server["EMAIL_USE_SSL"]
    EMAIL_TIMEOUT = 10  # seconds; a page waits for it
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
DEFAULT_FROM_EMAIL: str = env.str("STUDIO_MAIL_FROM", "Proofsheet <proofsheet@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("STUDIO_LOG_LEVEL", "INFO")},
}
