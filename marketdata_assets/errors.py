"""The errors of this package: one family, of which each says what it is to a run and to a client.

The status of an answer stands beside an error, and `final` where no retry can help; where nothing
does, it is as the one that it is a kind of.

    MarketdataError                 500
      SettingError                  final
        UnreadableFile
      CalendarExhausted             503
      UnknownCode                   400  final
        SuccessorUnknown
      ExcusesUnreadable
      MissingFactors                409
      NotKnownThen                  404
      NotReadableAsOf               409
      DiskRefuses
      StoreRefuses                  503
      DatabaseRefuses               503
      RunIsOver                     final
      BrokerRefuses
      WrittenMeanwhile              503
      OtherVersionsThere            final
      NotFollowing                  503
      MissingPartitions             final
      UnfitPartitions               503
        DamagedPartitions
      DamagedFile
      NoSeries                      503
      DamagedSeries                 503
        WithdrawnSeries
      DayNotInSeries                404
      NotAdoptable                  final
      OtherOrigin                   final
      NotFitToPublish               final
      NotInOrder                    final
      UnreadableManifest            final
      NothingPublished
      WorkspaceBusy
      NotAsInManifest               final
      NotAdjustable                 400  final
      NotStored                     404
        NotByCode
      NoSuchTable                   404  final
      NoSuchDay                     404
      MissingSessions               409  final
      NoSuchColumn                  400  final
      NotInBars                     400  final
      UnknownRequest                404
      TooManyOpen                   429
      ExportsFull                   429
      QueueNotReady                 503
      HubError
        HubUnavailable
          HubBusy
        HeadMoved
        BoundReached
        RefusedByHub                final
          BadHubToken
          NoWriteAccess
          NoRepository
          TooLarge
          NoRoom
        NotAsSent                   final
        NotALocalHub                final
      CallFailed
      SourceFailed
      NoJson
      TunnelDown
      TushareError
        Unavailable
          CallTimedOut
          UnreadableAnswer
        RateLimited
        NotPublishedYet
        RefusedError                final
          BadToken
          NoPermission
          QuotaExhausted
          TooManyAddresses
          BadRequest
          HttpRefused
        WrongAnswer
          MissingColumn
          DuplicateRows
          BadValue
          Truncated
      NoSource
      ApiError
      BadQuestion                   400  final
      NoRows                        404  final
      NotInstalled                  final
      CopyFailed
      Unreachable
      AnsweredWithError

Here belongs what they have in common. What went wrong, and what to do, is said where it is noticed.
"""

from collections.abc import Mapping


class MarketdataError(Exception):
    """An error whose text is a sentence for people: what happened, to what, and what to do.

    `is_final` where trying again can't help, for somebody has to change something first. `status`
    is the HTTP status of an answer; at 500 the error is nothing that a client could understand, and
    is told to the log alone. `details` stand beside the text in an answer.
    """

    is_final = False
    status = 500
    details: Mapping[str, object] = {}

    def __init_subclass__(cls, is_final: bool | None = None, status: int | None = None) -> None:
        super().__init_subclass__()
        cls.is_final = cls.is_final if is_final is None else is_final
        cls.status = status or cls.status

    def __reduce__(self) -> tuple[object, ...]:
        """It is what it says, and no call to `__init__`, when it comes out of another process."""
        return _again, (type(self), str(self), self.__dict__)


def _again(kind: type[MarketdataError], text: str, state: dict[str, object]) -> MarketdataError:
    error = kind.__new__(kind, text)
    error.__dict__.update(state)
    return error
