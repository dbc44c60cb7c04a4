"""An AiiDA profile without ceremony: the user's default one, or one made on first use."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from hashigo.errors import HashigoError, InputError

PROFILE = "hashigo"


def load(create: bool = True) -> str:
    """Load the default profile.

    Args:
        create: make one (SQLite, no services) when there is none; otherwise that is an error.

    Returns:
        A sentence for the user when a profile was made, otherwise "".

    Raises:
        InputError: when there is no profile and none may be made.
        HashigoError: when the profile's storage cannot be opened.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the configuration folder is made is said below
        from aiida.common.exceptions import AiidaException
        from aiida.manage.configuration import get_config, load_profile

        config = get_config(create=create) if create else _existing_config()
        made = ""
        if config is None or not config.profile_names:
            if not create:
                raise InputError("there is no AiiDA profile yet", fix="hashigo run STUDY makes one")
            made = _make_profile(config)
        try:
            load_profile()
            profile_storage_check()
        except AiidaException as error:
            raise HashigoError(
                f"the AiiDA profile cannot be opened: {str(error).splitlines()[0]}", see="verdi status"
            ) from error
    _quiet()
    return made


def _existing_config() -> Any:
    from aiida.common.exceptions import AiidaException
    from aiida.manage.configuration import get_config

    try:
        return get_config(create=False)
    except AiidaException:
        return None


def _make_profile(config: Any) -> str:
    from aiida.manage.configuration import create_profile
    from aiida.manage.configuration.settings import AiiDAConfigDir
    from aiida.plugins import BrokerFactory

    # The broker is there for a daemon later on; `hashigo run` does not speak to it.
    create_profile(
        config,
        name=PROFILE,
        email="user@localhost",
        storage_backend="core.sqlite_dos",
        storage_config={},
        broker_backend="core.zeromq",
        broker_config=BrokerFactory("core.zeromq").get_default_config(),
    )
    config.set_default_profile(PROFILE, overwrite=False)
    config.store()
    return f"made the AiiDA profile '{PROFILE}' (SQLite, no services) in {AiiDAConfigDir.get()}"


def profile_storage_check() -> None:
    """Open the storage now, so that a broken one is one sentence and not an error half-way."""
    from aiida.manage import get_manager

    get_manager().get_profile_storage()


def _quiet() -> None:
    """Keep AiiDA's log off the terminal; it stays in the database, where `verdi process report` shows it."""
    from aiida.common.log import AIIDA_LOGGER, configure_logging
    from sqlalchemy.exc import SAWarning

    configure_logging(with_orm=True)
    # SQLAlchemy warns of sessions each time a node is stored during a look at the database; nothing is lost.
    warnings.filterwarnings("ignore", category=SAWarning)
    for logger in (AIIDA_LOGGER, logging.getLogger("plumpy"), logging.getLogger("kiwipy")):
        for handler in list(logger.handlers):
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
        logger.addHandler(logging.NullHandler())
    if os.environ.get("HASHIGO_DEBUG"):
        AIIDA_LOGGER.addHandler(logging.StreamHandler())
