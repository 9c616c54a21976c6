import { t } from '../i18n'
import { WarnIcon } from './icons'

/** Something could not be fetched; says what, and offers to try again. */
export function Failure({ message, onRetry }: { message: string; onRetry?: () => void }) {
  return (
    <div className="failure" role="alert">
      <WarnIcon />
      <span>{message}</span>
      {onRetry && <button type="button" className="button small" onClick={onRetry}>{t.search.retry}</button>}
    </div>
  )
}
